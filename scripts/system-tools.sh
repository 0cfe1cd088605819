#!/usr/bin/env bash
# Installs the programs that tests use beside Python. Does nothing when they are there; else needs root and
# apt-get, and without these says what is missing and changes nothing.
set -euo pipefail

missing=()
need() { # need PACKAGE command COMMAND | need PACKAGE library FILE
  case $2 in
    command) PATH=$PATH:/usr/sbin:/sbin command -v "$3" >/dev/null || missing+=("$1") ;;
    library) compgen -G "/usr/lib/*/$3" >/dev/null || missing+=("$1") ;;
  esac
}

need strace command strace
need libeatmydata1 library libeatmydata.so
need libfaketime library faketime/libfaketimeMT.so.1
need iproute2 command ip
need nftables command nft
need curl command curl
need jq command jq
need openssl command openssl
need zsh command zsh
need chromium command chromium
((${#missing[@]})) || exit 0

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} with apt-get."
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "Some tests need these programs (names of Debian packages): ${missing[*]}." >&2
  echo "Install them, for example with: sudo apt-get install ${missing[*]}" >&2
fi

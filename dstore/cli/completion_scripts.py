"""What makes a shell complete the arguments of ``dstore``: short scripts that ask ``dstore completion words``."""

BASH = """\
# Completion of dstore for bash: eval "$(dstore completion bash)"
_dstore() {
    mapfile -t COMPREPLY < <(
        "$1" completion words --breaks="$COMP_WORDBREAKS" -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null
    )
}
complete -o nospace -F _dstore dstore
"""

ZSH = """\
#compdef dstore
# Completion of dstore for zsh: eval "$(dstore completion zsh)" after compinit, or a file _dstore in $fpath.
_dstore() {
    local typed="${(j: :)words[1,CURRENT-1]} ${QIPREFIX}${PREFIX}"
    local -a found whole begun
    found=("${(@f)$("${words[1]}" completion words -- "$typed" 2>/dev/null)}")
    whole=("${(@M)found:#* }")
    begun=("${(@)found:#(|* )}")
    (( $#whole )) && compadd -U -Q -- "${(@)whole% }"
    (( $#begun )) && compadd -U -Q -S '' -- "${(@)begun}"
    return 0
}
if [[ "${funcstack[1]}" = _dstore ]]; then
    _dstore "$@"
else
    compdef _dstore dstore
fi
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH}

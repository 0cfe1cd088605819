"""Every bound of the gateway, with its reason; relations between bounds are asserted at the end."""

from dstore.core.limits import KIB, MIB, NAME_SIZE_BYTES_MAX, PATH_SIZE_BYTES_MAX

#: Request line and headers: a path of 4 KiB, percent-encoded, a token and what browsers add.
HEADERS_SIZE_BYTES_MAX = 32 * KIB
#: How long headers may take, from the connection or from the end of the request before.
HEADERS_TIMEOUT_S = 20.0
#: How long a connection without a request is kept.
KEEP_ALIVE_S = 15.0
#: How long a body may bring nothing, and how long nothing of an answer may be read: as proxies do it.
BODY_IDLE_TIMEOUT_S = 60.0
SEND_IDLE_TIMEOUT_S = 60.0
#: How long calls are repeated while the master is away; whoever waits for HTTP has less patience than a program.
PATIENCE_S = 10.0
#: Requests that are answered at once.
REQUESTS_MAX = 512
#: Large transfers that are under way at once, and how long others wait for their turn: an upload holds up to five
#: chunks in memory, a download up to three windows.
UPLOADS_MAX = 8
DOWNLOADS_MAX = 16
QUEUE_TIMEOUT_S = 30.0
#: What is read from the store and given to a connection at a time.
PIECE_SIZE_BYTES = MIB
#: How old the state of the cluster may be that is shown, and how long the master may take to tell it: a page that is
#: looked at asks every two seconds.
STATUS_AGE_S_MAX = 1.0
STATUS_TIMEOUT_S = 3.0
#: Long enough to begin a download, and to go on with one that broke off.
TICKET_LIFETIME_S = 300
#: How long a token may be good after it was taken out of the file.
TOKENS_READ_INTERVAL_S = 2.0
#: A body of JSON that is read whole.
DOCUMENT_SIZE_BYTES_MAX = 64 * KIB
#: Headers of one part of a form, and parts of one form.
PART_HEADERS_SIZE_BYTES_MAX = 8 * KIB
PARTS_MAX = 1_000

assert 3 * PATH_SIZE_BYTES_MAX < HEADERS_SIZE_BYTES_MAX / 2
assert 3 * NAME_SIZE_BYTES_MAX < PART_HEADERS_SIZE_BYTES_MAX / 2

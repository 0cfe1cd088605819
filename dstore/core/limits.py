"""Every bound in one place, with its reason; relations between bounds are asserted at the end."""

#: Binary units, as everywhere in storage.
KIB = 1024
MIB = 1024 * KIB

# --- Chunks and frames -----------------------------------------------------------------------------------------

#: Authenticated-encryption unit; fixed by c2sp.org/chunked-encryption.
SEGMENT_SIZE_BYTES = 16 * KIB
#: Bytes that encryption adds to each segment.
SEGMENT_TAG_SIZE_BYTES = 16
#: A segment as it is stored.
SEGMENT_SEALED_SIZE_BYTES = SEGMENT_SIZE_BYTES + SEGMENT_TAG_SIZE_BYTES
#: Salt (24 bytes) and key commitment (32 bytes) in front of the segments.
CHUNK_HEADER_SIZE_BYTES = 56

#: Plaintext of a chunk, unless the policy says otherwise.
CHUNK_SIZE_BYTES_DEFAULT = 16 * MIB
#: One segment: below that, the segments of a chunk would be mostly headers.
CHUNK_SIZE_BYTES_MIN = SEGMENT_SIZE_BYTES
#: A chunk is held whole in a writing client (several at once), so it must stay small beside its memory.
CHUNK_SIZE_BYTES_MAX = 64 * MIB

#: The frame that clients send and ask for: 2 MiB of plaintext in sealed segments, so that each can be opened by itself.
#: What a message costs beside its bytes weighs less the larger it is; beyond this, it only holds up the event loop.
FRAME_SEGMENTS = 128
FRAME_SIZE_BYTES = FRAME_SEGMENTS * SEGMENT_SEALED_SIZE_BYTES
#: Payload of one stream message: such a frame with the chunk's header in front and an empty last segment behind.
FRAME_SIZE_BYTES_MAX = 2 * MIB + 4 * KIB

#: One gRPC message, either way; gRPC's own default, here on purpose.
MESSAGE_SIZE_BYTES_MAX = 4 * MIB

#: The unit of the chunkserver's keyless checksums.
CHECKSUM_BLOCK_SIZE_BYTES = 64 * KIB
#: The chunk file starts with one page: fixed header, then the client's opaque descriptor, then zeros.
CHUNK_FILE_HEADER_SIZE_BYTES = 4 * KIB
#: The client's encrypted descriptor, which must fit in the header page.
DESCRIPTOR_SIZE_BYTES_MAX = 3 * KIB

# --- Names -----------------------------------------------------------------------------------------------------

#: As on every common file system, so that trees can be copied both ways.
NAME_SIZE_BYTES_MAX = 255
#: Linux' PATH_MAX.
PATH_SIZE_BYTES_MAX = 4096
#: Bounds the work of resolving a path.
PATH_DEPTH_MAX = 128
#: Idempotency keys are stored; a uuid needs 36.
REQUEST_ID_SIZE_BYTES_MAX = 64

# --- Metadata messages -----------------------------------------------------------------------------------------

#: Entries of one listing page: 1,000 names of 255 bytes stay far below a message.
LIST_PAGE_SIZE_DEFAULT = 1_000
LIST_PAGE_SIZE_MAX = 1_000
#: Chunk records of one message: about 100 bytes each, so 1 MiB.
CHUNK_RECORDS_PER_MESSAGE_MAX = 10_000
#: Chunk ids handed out by one call.
CHUNK_ALLOCATION_MAX = 64
#: Wrapped keys of one file version: one per recipient.
WRAPPED_KEYS_MAX = 64
WRAPPED_KEY_SIZE_BYTES_MAX = 2 * KIB
#: The sealed manifest: fixed fields, one name, and user attributes.
SEALED_MANIFEST_SIZE_BYTES_MAX = 64 * KIB
#: Entries removed by one recursive remove; one transaction, so bounded.
REMOVE_ENTRIES_MAX = 100_000

# --- Time ------------------------------------------------------------------------------------------------------

#: A write in progress that is not renewed for this long is given up, and its chunks are collected.
INTENT_LEASE_DURATION_S = 60.0
#: Clients renew after a third of the lease, so that two renewals may fail.
INTENT_RENEW_INTERVAL_S = INTENT_LEASE_DURATION_S / 3
#: Answers to mutations are kept at least this long, so that a retry finds them (Invariant 4).
REQUEST_RETENTION_S = 24 * 3600.0

#: How long removed and replaced versions can be restored, unless the policy says otherwise: a night, and the morning on
#: which somebody notices.
RETENTION_DEFAULT_S = 24 * 3600
#: Ten years; what is to be kept longer is a backup.
RETENTION_MAX_S = 10 * 365 * 24 * 3600
#: Times per retention that the master notes which transactions have happened: versions are kept at most that share of
#: the retention longer than it.
RETENTION_MOMENTS = 16
#: The running time of the cluster is written this often: every write costs a sync of the master's disk. What a master
#: that is killed has not written makes retentions longer, never shorter.
RUNNING_TIME_STEP_S = 2.0
#: Rows of the past, and chunks, that one transaction of the collection deletes: other writers wait for it.
COLLECT_ROWS_MAX = 2_000

#: Often enough that two lost beats are noticed within SERVER_SUSPECT_AFTER_S.
HEARTBEAT_INTERVAL_S = 1.0
#: A heartbeat that is not answered for this long is given up, and the next one follows.
HEARTBEAT_TIMEOUT_S = 2.0
#: A server that missed beats for this long gets no new chunks.
SERVER_SUSPECT_AFTER_S = 3.0
#: A server that missed beats for this long is avoided by reads; must be noticed within 10 s.
SERVER_DOWN_AFTER_S = 6.0

#: One unary call to the master, unless the caller gives less.
CALL_TIMEOUT_S = 10.0
#: How long a client goes on retrying while the master is away, unless the caller gives a timeout: long enough for
#: a restart.
CLIENT_PATIENCE_S = 60.0
#: A data stream without progress for this long has failed. Each hop further down the chain waits one step less, so
#: that the hop next to the fault reports it, and not the client.
STREAM_STALL_TIMEOUT_S = 4.0
STREAM_STALL_STEP_S = 1.0
#: How long a graceful stop waits for calls under way.
STOP_GRACE_S = 5.0

#: How long a client tries to reach a master that it has never reached: a wrong address must show soon, and a
#: cluster that is just being started must not fail.
FIRST_CONTACT_PATIENCE_S = 5.0
#: A chunkserver that failed a client is avoided for this long: by then the master knows as well.
SERVER_AVOID_DURATION_S = 10.0
#: How long a failed write tries to tell the master; the intent expires anyway.
ABANDON_TIMEOUT_S = 2.0

# --- Upkeep ----------------------------------------------------------------------------------------------------

#: A server that is down for this long is out: its groups get new members. Restarts and reboots are shorter.
SERVER_OUT_AFTER_DEFAULT_S = 600.0
#: A disk whose small write and fsync takes longer than this gets no new chunks: one slow member slows whole chains.
PROBE_SLOW_S = 2.0
#: A disk that had no write for this long is probed.
PROBE_INTERVAL_S = 2.0
#: A wall clock that is further than this from the others is told to people: longer than a report is on its way.
CLOCK_OFFSET_TOLD_S = 10.0
#: A leader whose beat stands still for this long is gone.
LEADER_LEASE_S = 10.0
#: Often enough that several lost beats are needed to lose the lead.
LEADER_BEAT_S = 2.0
#: Every chunk is read within this time: two weeks, the custom of the field.
SCRUB_PERIOD_DEFAULT_S = 14 * 24 * 3600.0
#: The scrub is paced so as to need this share of its period: restarts and pauses take the rest.
SCRUB_SHARE = 0.8
#: The scrub waits in steps of this while others need the disk, but reads on once it is this far behind its pace.
SCRUB_YIELD_S = 0.25
SCRUB_BEHIND_MAX_S = 600.0
#: Others need the disk when more streams than this are under way, or more calls wait for it.
SCRUB_BUSY_STREAMS = 2
SCRUB_BUSY_QUEUE = 4
#: How often the position of the scrub is stored.
SCRUB_POSITION_INTERVAL_S = 60.0
#: What one server copies from others at most: below half of a 10 Gbit/s link, so that clients are still served.
COPY_BYTES_PER_S_DEFAULT = 400 * MIB
#: How long the trash of a chunkserver keeps a chunk.
TRASH_DELAY_DEFAULT_S = 3600.0
#: All holders of a deleted chunk must confirm within half of the delay that they have discarded it, each with a report.
TRASH_DELAY_MIN_S = 5.0
#: Chunks that one server copies at once; each holds a few frames.
COPY_STREAMS_MAX = 4
#: Members of a group compare what they hold this often, and this soon after a comparison failed; it costs a digest.
COMPARE_INTERVAL_S = 600.0
COMPARE_RETRY_S = 30.0
#: Memberships that are being filled, of one server and in all: enough that copying never waits for the master, few
#: enough that the most endangered groups come first.
FILLING_PER_SERVER_MAX = 64
FILLING_MAX = 4_096
#: Drains and balancing stop here, so that repairs find room.
MOVES_PER_SERVER_MAX = 8
MOVES_MAX = 1_024
#: Groups whose members one round of planning changes: one short transaction.
CHANGES_PER_ROUND_MAX = 1_024
#: How far the fill of a disk may be from the mean of all, in shares of a disk, before data is moved.
BALANCE_TOLERANCE = 0.05
#: A source that sends nothing of a chunk for this long is given up: longer than a busy disk takes for a frame.
COPY_STALL_TIMEOUT_S = 10.0
#: Chunks of one list in a report or in orders: below a message, and enough for a thousand copies a second.
MISSING_PER_ORDER_MAX = 1_000
DISCARDS_PER_ORDER_MAX = 4_000
CORRUPT_REPORTED_MAX = 1_000
#: A deleted chunk stays on the disks for this long after its row was written: readers that opened the file before can
#: come to an end, and an operator who sees a mistake can stop the master.
COLLECTION_GRACE_DEFAULT_S = 60
#: A copy of a group on a server that is no member of it stays for this long: it may be wanted as a source again.
DROP_GRACE_DEFAULT_S = 60.0
#: Deleted chunks that servers are told to discard at once: four full lists of orders.
DISCARDS_OUTSTANDING_MAX = 16_000
#: Rows of deleted chunks that one transaction removes: other writers wait for it.
DISCARDS_FINISHED_MAX = 2_000
#: Copies of groups that one server is told to drop at once: each takes its disk a while.
DROPS_PER_ORDER_MAX = 16
#: A collection that takes more than this share of a server, and more than this many of its chunks, within an hour stops
#: and asks, if all files have lost more than this share of their bytes, too: more often a mistake than a wish.
COLLECTION_LOSS_SHARE_MAX = 0.25
COLLECTION_LOSS_CHUNKS_MAX = 100
COLLECTION_LOSS_WINDOW_S = 3600.0
#: A server that was not heard for this long is away: rows of deleted chunks do not wait for it, but remember it.
SERVER_AWAY_AFTER_S = 600.0
#: What one transaction of the collection takes of the past, and how often in one round.
COLLECT_ROUNDS_MAX = 8
#: How far the counters jump when the metadata turns out to be older than what chunkservers saw: further than anything
#: can have been given out since the copy was taken, and small beside 2^63.
RESTORE_GAP = 1 << 32
#: The same for ids of groups, which have 32 bits.
RESTORE_GROUP_GAP = 1 << 20
#: Ids of groups have 32 bits on the wire.
GROUP_ID_MAX = (1 << 32) - 1
#: Chunks of one page of a group's listing: about 20 bytes each.
HELD_CHUNKS_PER_PAGE_MAX = 10_000
#: Rows that the check of a cluster reads in one transaction.
CHECKED_ROWS_PER_PAGE = 5_000
#: Findings of one kind that are listed one by one; a table that is damaged throughout has as many as it has rows.
FINDINGS_PER_KIND_MAX = 10_000
#: What the servers list of each group is held against the rows once in this time, by itself.
AUDIT_PERIOD_DEFAULT_S = 24 * 3600.0

# --- Concurrency and memory ------------------------------------------------------------------------------------

#: Streams of one connection; a few thousand calls at once on one channel get cancelled.
CONCURRENT_STREAMS_MAX = 128
#: Calls that one server works on at once; more are refused with RESOURCE_EXHAUSTED.
CONCURRENT_CALLS_MAX = 256
#: Write streams that one chunkserver takes at once: each holds a few frames.
CONCURRENT_CHUNK_WRITES_MAX = 32
#: Frames of one write stream that the disk does not have yet, and that wait behind the one on its way to the next one.
WRITE_BEHIND_FRAMES_MAX = 3
RELAY_FRAMES_MAX = 1
#: Chunks that a client writes at once; each holds its plaintext until it is durable.
CHUNKS_IN_FLIGHT_WRITE = 3
#: Chunks that a client fetches at once.
CHUNKS_IN_FLIGHT_READ = 2
#: Attempts to place one chunk before the write fails.
CHUNK_WRITE_ATTEMPTS_MAX = 6
#: Chunk ids that a client asks for at once: placements grow stale, but one call per chunk would cost a commit each.
PLACEMENTS_AHEAD_MAX = 8
#: Commits of one write: each one more is caused by another writer of the same path whose commit succeeded.
COMMIT_ATTEMPTS_MAX = 32
#: Renames are prepared again when somebody changed the source or the target meanwhile.
RENAME_ATTEMPTS_MAX = 16
#: As for renames.
RESTORE_ATTEMPTS_MAX = 16
#: Items of one call about many files: a thousand commits in one.
BATCH_ITEMS_MAX = 1_000
#: What the items of one call, or their answers, may take together, so that each stays below a message.
BATCH_SIZE_BYTES_MAX = 3 * MIB
#: Files up to this size are kept with their inode, sealed in the manifest: one call to write, one to read, no chunk.
INLINE_SIZE_BYTES_MAX = 16 * KIB
#: File ids and versions that one reservation takes.
RESERVED_FILES_MAX = 10_000
#: The first reservation of a client is for one file; whoever uses one up takes so many times as much, up to the limit.
RESERVATION_GROWTH = 4
#: Directories whose identities a client remembers, so that a small file is written with one call.
DIRECTORIES_REMEMBERED_MAX = 10_000
#: Calls of one kind into which a client gathers what its callers ask one by one: one is prepared while the other is
#: under way.
BATCH_CALLS_IN_FLIGHT = 2
#: Callers that wait for such calls: a future and the item each.
GATHERED_WAITING_MAX = 100_000
#: Items of one call that a client makes of a longer list: few enough that preparing them does not hold up the others.
MANY_ITEMS_PER_CALL = 250
#: Such calls of one list under way at once: at the master, on its way, and at the client; and files with chunks.
MANY_CALLS_IN_FLIGHT = 3
MANY_FILES_IN_FLIGHT = 4
#: Threads in which a client reads and decrypts chunks of servers on its own machine.
LOCAL_READ_THREADS = 4
#: What such a thread reads at once, and decrypts while the next one reads; and what it takes of a large read.
LOCAL_READ_SIZE_BYTES = 128 * SEGMENT_SEALED_SIZE_BYTES
LOCAL_PART_SIZE_BYTES = 2 * MIB
#: Open chunk files that a client has on loan. The space of a deleted chunk comes back only when nobody has it open, so
#: one that is not read any more is given back soon, and each is asked for anew at times.
LOCAL_FILES_MAX = 64
LOCAL_FILE_IDLE_S = 5.0
LOCAL_FILE_AGE_MAX_S = 60.0
#: How long a server on the same machine gets to open a file, before the chunk is read over the network instead.
LOCAL_ANSWER_TIMEOUT_S = 1.0
#: How long a read of such a file may stand still: less than on the network, which still has to follow.
LOCAL_STALL_TIMEOUT_S = 2.0
#: A server that has no socket on this machine, or does not answer there, is left alone for this long.
LOCAL_AVOID_DURATION_S = 10.0
#: Clients of its machine that one chunkserver talks to at once, and how long a silent one keeps its place.
LOCAL_CONNECTIONS_MAX = 256
LOCAL_CONNECTION_IDLE_S = 30.0
#: Proof that a client may read a chunk: a signed token is a few hundred bytes.
LOCAL_TOKEN_SIZE_BYTES_MAX = 4 * KIB
#: Files of a tree that are restored at once: each is two calls to the master, which gathers them into few commits.
RESTORES_IN_FLIGHT = 16
#: A read starts again when the version that it reads is replaced and collected meanwhile.
READ_ATTEMPTS_MAX = 4
#: A sequential reader starts with the smaller window and doubles up to the larger one, so that reading a little
#: costs little.
READ_AHEAD_SIZE_BYTES_MIN = 256 * KIB
READ_AHEAD_SIZE_BYTES_MAX = 16 * MIB
#: Ranges that one call asks for, and what it returns at most, which is all in memory.
RANGES_MAX = 10_000
RANGES_SIZE_BYTES_MAX = 1024 * MIB
#: Ranges this close to each other are fetched in one: a request costs as much as some hundred KiB.
RANGE_GAP_SIZE_BYTES_MAX = 128 * KIB
#: Fetches of one such call that are under way at once; each holds a frame.
RANGE_FETCHES_IN_FLIGHT = 8
#: Mutations with unknown outcome that a client remembers, so that they can be resolved.
UNRESOLVED_MUTATIONS_MAX = 4 * BATCH_ITEMS_MAX
#: Versions that are gathered before a client writes them to its state file.
HIGH_WATER_BATCH_MAX = 256
#: Versions that a client remembers in memory beside its state file: about 10 MiB.
HIGH_WATER_REMEMBERED_MAX = 100_000
#: Threads for blocking disk calls in a server.
DISK_THREADS = 4
#: Chunk files that a chunkserver keeps open, header and footer checked: a descriptor and about 10 KiB each.
OPEN_CHUNKS_MAX = 128
#: Footers that are read at once to learn what a disk holds; more than threads, so that none of them waits.
FOOTERS_READ_AT_ONCE = 2 * DISK_THREADS
#: Chunks that a chunkserver has acknowledged as replicated and not synced yet, each an open file, and their bytes.
#: More are synced before they are acknowledged: so are they while the oldest is older than the age, which is what a
#: power loss of all replicas may cost.
UNSYNCED_CHUNKS_MAX = 256
UNSYNCED_BYTES_MAX = 256 * MIB
UNSYNCED_AGE_MAX_S = 1.0
#: A server whose syncs are further behind than this is told to people: the next writes wait for its disk.
UNSYNCED_AGE_TOLD_S = 5 * UNSYNCED_AGE_MAX_S
#: They are gathered for this long, so that syncs of directories are shared.
UNSYNCED_GATHER_S = 0.1
#: Files that are synced in the background at once; the other threads are for those who wait.
BACKGROUND_SYNCS_MAX = DISK_THREADS // 2
#: Once nothing is unsynced any more, the marks that say so stay for a while: the next write would make them again.
UNSYNCED_MARKS_LINGER_S = 10.0
#: Chunks that are purged from the trash in one go; discards wait for it.
PURGE_BATCH_MAX = 256
#: Names that mean nothing on a disk and are shown one by one; the others are only counted.
UNKNOWN_NAMES_REPORTED_MAX = 100
#: Writes that are gathered into one metadata transaction.
GROUP_COMMIT_MAX = 256
#: Metadata writes that wait for the writer; more are refused.
COMMIT_QUEUE_MAX = 4_096
#: Threads that read metadata beside the writer: reads are short, and hold the interpreter's lock most of the time.
METADATA_READ_THREADS = 2
#: Writes in progress in the whole cluster; each has a lease in the master's memory.
INTENTS_MAX = 100_000

# --- Space -----------------------------------------------------------------------------------------------------

#: Above this fill, no new chunks are placed on a disk.
FILL_PLACEMENT_MAX = 0.90
#: Above this fill, a disk takes no writes at all; deletes always work.
FILL_WRITE_MAX = 0.95

# --- Placement -------------------------------------------------------------------------------------------------

#: Two may fail at once; the custom of the field.
REPLICAS_DEFAULT = 3
#: A chain is as slow as the sum of its hops.
REPLICAS_MAX = 8
#: With fewer, one failure would lose an acknowledged write.
MIN_REPLICAS_DEFAULT = 2
#: Groups that each server should be a member of: as many as there are servers, within these bounds. Each group of a
#: lost server is rebuilt by another one, so that all others take part; in a large cluster, the map of all groups must
#: still fit in memory (some 400 bytes a group, and a third of a group for each membership).
GROUPS_PER_SERVER_MIN = 12
GROUPS_PER_SERVER_MAX = 1_000
#: Groups that are made at once; a cluster that grows makes the others with the next writes.
GROUPS_MADE_MAX = 10_000
#: Chunkservers of one cluster: the master keeps their live state in memory.
SERVERS_MAX = 10_000
#: Length of a server's name, as a host name's label.
SERVER_NAME_SIZE_MAX = 64
#: Groups beyond the target, made when failures left no other that is whole, stop at this multiple of the target.
GROUPS_SURPLUS_MAX = 4

assert CHUNK_HEADER_SIZE_BYTES + FRAME_SIZE_BYTES + SEGMENT_TAG_SIZE_BYTES <= FRAME_SIZE_BYTES_MAX
assert FRAME_SIZE_BYTES_MAX < MESSAGE_SIZE_BYTES_MAX
assert CHUNK_SIZE_BYTES_MIN <= CHUNK_SIZE_BYTES_DEFAULT <= CHUNK_SIZE_BYTES_MAX
assert CHUNK_SIZE_BYTES_MIN % SEGMENT_SIZE_BYTES == 0
assert DESCRIPTOR_SIZE_BYTES_MAX < CHUNK_FILE_HEADER_SIZE_BYTES
assert MANY_ITEMS_PER_CALL <= BATCH_ITEMS_MAX
assert MANY_CALLS_IN_FLIGHT * MANY_ITEMS_PER_CALL <= UNRESOLVED_MUTATIONS_MAX
assert BATCH_SIZE_BYTES_MAX + BATCH_ITEMS_MAX * 200 < MESSAGE_SIZE_BYTES_MAX
assert INLINE_SIZE_BYTES_MAX < SEALED_MANIFEST_SIZE_BYTES_MAX
assert CHUNK_RECORDS_PER_MESSAGE_MAX * 400 <= MESSAGE_SIZE_BYTES_MAX
assert LIST_PAGE_SIZE_MAX * (NAME_SIZE_BYTES_MAX + 100) < MESSAGE_SIZE_BYTES_MAX
assert FIRST_CONTACT_PATIENCE_S <= CLIENT_PATIENCE_S
assert SERVER_DOWN_AFTER_S < SERVER_AVOID_DURATION_S
assert HIGH_WATER_BATCH_MAX < HIGH_WATER_REMEMBERED_MAX
assert PLACEMENTS_AHEAD_MAX <= CHUNK_ALLOCATION_MAX
assert READ_AHEAD_SIZE_BYTES_MIN % SEGMENT_SIZE_BYTES == 0 == READ_AHEAD_SIZE_BYTES_MAX % SEGMENT_SIZE_BYTES
# So that no segment lies in two fetches.
assert RANGE_GAP_SIZE_BYTES_MAX >= SEGMENT_SIZE_BYTES
assert HEARTBEAT_INTERVAL_S + HEARTBEAT_TIMEOUT_S <= SERVER_SUSPECT_AFTER_S
assert HEARTBEAT_INTERVAL_S < SERVER_SUSPECT_AFTER_S < SERVER_DOWN_AFTER_S < 10
assert RETENTION_DEFAULT_S <= RETENTION_MAX_S
assert RUNNING_TIME_STEP_S < REQUEST_RETENTION_S / 100
assert 3 * INTENT_RENEW_INTERVAL_S <= INTENT_LEASE_DURATION_S
assert INTENT_LEASE_DURATION_S < REQUEST_RETENTION_S
assert CHUNK_ALLOCATION_MAX >= CHUNKS_IN_FLIGHT_WRITE
assert FILL_PLACEMENT_MAX < FILL_WRITE_MAX < 1
assert 3 * LEADER_BEAT_S < LEADER_LEASE_S
assert 2 * HEARTBEAT_INTERVAL_S < TRASH_DELAY_MIN_S / 2 < TRASH_DELAY_DEFAULT_S
assert MOVES_PER_SERVER_MAX < FILLING_PER_SERVER_MAX and MOVES_MAX < FILLING_MAX
assert CHANGES_PER_ROUND_MAX <= FILLING_MAX
assert PROBE_SLOW_S < SERVER_SUSPECT_AFTER_S < SERVER_DOWN_AFTER_S < SERVER_OUT_AFTER_DEFAULT_S
assert DISCARDS_PER_ORDER_MAX <= DISCARDS_OUTSTANDING_MAX
assert SERVER_DOWN_AFTER_S < SERVER_AWAY_AFTER_S
assert RESTORE_GROUP_GAP < GROUP_ID_MAX
assert HELD_CHUNKS_PER_PAGE_MAX * 30 < MESSAGE_SIZE_BYTES_MAX
assert LOCAL_READ_SIZE_BYTES % SEGMENT_SEALED_SIZE_BYTES == 0
assert LOCAL_ANSWER_TIMEOUT_S < LOCAL_STALL_TIMEOUT_S < STREAM_STALL_TIMEOUT_S < LOCAL_CONNECTION_IDLE_S
assert MIN_REPLICAS_DEFAULT <= REPLICAS_DEFAULT <= REPLICAS_MAX

/* conf_map.h - every option: one row. File < environment REDRAIN_<SECTION>_<KEY> < --set
 * section.key=value. Types: INT, STR, SECRET (masked by --print-config; a file readable by others
 * is refused), BOOL. */
#ifndef BASE_CONF_MAP_H
#define BASE_CONF_MAP_H

/* section, key, type, default, min, max (bytes for strings), unit, when a change is read, what it does */
#define CONF_MAP(X)                                                                                \
    X(server, namespace, STR, "", 0, 32, "", RESTART,                                              \
      "prefix of every Redis key and channel, Kafka topic and group, and database: [a-z0-9_]")     \
    X(server, workers, INT, "2", 1, 64, "", RESTART, "worker processes; one per core")             \
    X(server, host, STR, "127.0.0.1", 1, 255, "", RESTART, "address of the public listener")       \
    X(server, port, INT, "8480", 0, 65535, "", RESTART,                                            \
      "port of the public listener; 0: any free one, printed at start")                            \
    X(server, origins, STR, "", 0, 4000, "", RELOAD,                                               \
      "comma list of allowed Origin values, compared exactly; empty: none is allowed")             \
    X(server, allow_no_origin, BOOL, "false", 0, 1, "", RELOAD,                                    \
      "accept handshakes without an Origin header (programs, not browsers)")                       \
    X(server, selftest_echo, BOOL, "false", 0, 1, "", RESTART,                                     \
      "for tests on this machine: /echo gives every message back; refuses a public server.host")   \
    X(server, guests, BOOL, "false", 0, 1, "", RELOAD,                                             \
      "HELLO without a token watches: any room, no GRAB, no SAY, no account")                      \
    X(server, bans_every_ms, INT, "10000", 100, 3600000, "ms", RELOAD,                             \
      "workers read the list of bans this often; a change reaches them at once through Redis")     \
    X(server, tls_cert_file, STR, "", 0, 4000, "", RELOAD,                                         \
      "PEM file with the certificate of the public listener and its chain; empty: no TLS")         \
    X(server, tls_key_file, STR, "", 0, 4000, "", RELOAD,                                          \
      "PEM file with its private key, readable by nobody else")                                    \
    X(server, tls_min_version, STR, "1.2", 1, 4, "", RELOAD, "1.2 or 1.3")                         \
    X(server, web_root, STR, "web-demo", 0, 4000, "", RESTART,                                     \
      "folder of the static pages; empty: none are served")                                        \
    X(server, max_connections, INT, "16000", 1, 10000000, "sockets", RESTART,                      \
      "sockets of a worker; more are refused with 503")                                            \
    X(server, direct_send, BOOL, "true", 0, 1, "", RESTART,                                        \
      "frames go straight to plain sockets; false: through libwebsockets, as always under TLS")    \
    X(server, trusted_proxies, STR, "", 0, 4000, "", RELOAD,                                       \
      "comma list of networks whose risk.address_header is believed: 10.0.0.0/8, 127.0.0.1")       \
    X(server, proxy_protocol, STR, "off", 2, 3, "", RELOAD,                                        \
      "v2: connections of server.trusted_proxies begin with a PROXY protocol header, version 2")   \
    X(server, proxy_timeout_ms, INT, "3000", 100, 600000, "ms", RELOAD,                            \
      "a proxy's connection without a whole header is closed after this")                          \
    X(server, handshake_timeout_ms, INT, "10000", 100, 600000, "ms", RELOAD,                       \
      "a socket without a whole handshake is closed after this")                                   \
    X(server, join_timeout_ms, INT, "600000", 0, 86400000, "ms", RELOAD,                           \
      "a user who is in no room for this long is closed with 1008; 0: never")                      \
    X(server, hello_timeout_ms, INT, "10000", 100, 600000, "ms", RELOAD,                           \
      "a socket without HELLO is closed after this")                                               \
    X(server, ping_interval_ms, INT, "30000", 1000, 600000, "ms", RELOAD,                          \
      "WebSocket PING to each client")                                                             \
    X(server, idle_timeout_ms, INT, "90000", 1000, 3600000, "ms", RELOAD,                          \
      "a client silent for this long is closed with 4012")                                         \
    X(server, pid_file, STR, "", 0, 4000, "", RESTART,                                             \
      "file with the supervisor's process id, written again by an upgrade; empty: none")           \
    X(drain, ready_wait_ms, INT, "2000", 0, 300000, "ms", RELOAD,                                  \
      "/readyz is 503 for this long before the listeners close, so that a balancer sees it")       \
    X(drain, spread_ms, INT, "10000", 0, 300000, "ms", RELOAD,                                     \
      "clients are told to leave (GOAWAY) at times spread evenly over this; 0: closed at once")    \
    X(drain, wait_rain_ms, INT, "60000", 0, 300000, "ms", RELOAD,                                  \
      "members of a room with a live rain are told to leave after its end, or after this")         \
    X(drain, timeout_ms, INT, "120000", 0, 900000, "ms", RELOAD,                                   \
      "after this everybody is closed, whatever was waited for")                                   \
    X(admin, host, STR, "127.0.0.1", 1, 255, "", RESTART,                                          \
      "address of the private listener; only loopback is accepted")                                \
    X(admin, port, INT, "8481", 0, 65535, "", RESTART,                                             \
      "port of the private listener; 0: any free one")                                             \
    X(admin, token_file, STR, "", 0, 4000, "", RESTART,                                            \
      "file with the bearer token of the JSON API; empty: the API is off")                         \
    X(token, keys_file, STR, "", 0, 4000, "", RELOAD,                                              \
      "JSON file with the keys that sign viewers' tokens (required)")                              \
    X(token, audience, STR, "redrain", 1, 255, "", RELOAD, "required aud claim")                   \
    X(token, leeway_s, INT, "5", 0, 60, "s", RELOAD, "clock skew allowed for exp and nbf")         \
    X(redis, url, SECRET, "redis://127.0.0.1:6379/0", 1, 4000, "", RESTART,                        \
      "redis://[:password@]host:port/db; of a cluster or of sentinels host:port,host:port,...")    \
    X(redis, password_file, STR, "", 0, 4000, "", RESTART,                                         \
      "file with the password of the url's user, readable by nobody else; instead of one in the "  \
      "url")                                                                                       \
    X(redis, timeout_ms, INT, "2000", 100, 60000, "ms", RESTART, "connect and command deadline")   \
    X(redis, topology, STR, "single", 1, 16, "", RESTART,                                          \
      "single, failover (replicas that may take over behind one address), cluster, sentinel")      \
    X(redis, sentinel_master, STR, "mymaster", 1, 64, "", RESTART,                                 \
      "with topology sentinel: the name of the primary there")                                     \
    X(kafka, bootstrap, STR, "127.0.0.1:9092", 1, 4000, "", RESTART, "broker list")                \
    X(kafka, security_protocol, STR, "plaintext", 3, 16, "", RESTART,                              \
      "plaintext, ssl, sasl_plaintext or sasl_ssl")                                                \
    X(kafka, sasl_mechanism, STR, "SCRAM-SHA-512", 5, 16, "", RESTART,                             \
      "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")                                                     \
    X(kafka, sasl_username, STR, "", 0, 200, "", RESTART, "with sasl_plaintext and sasl_ssl")      \
    X(kafka, sasl_password_file, STR, "", 0, 4000, "", RESTART,                                    \
      "file with that user's password, readable by nobody else")                                   \
    X(kafka, tls_ca_file, STR, "", 0, 4000, "", RESTART,                                           \
      "PEM file with the authority of the brokers' certificates; empty: the system's")             \
    X(kafka, topic, STR, "receive_red_packet", 1, 200, "", RESTART, "topic of granted packets")    \
    X(kafka, group, STR, "redrain-settler", 1, 200, "", RESTART, "consumer group of the settlers") \
    X(kafka, partitions, INT, "4", 1, 1000, "", RESTART, "when migrate creates the topic")         \
    X(kafka, replication, INT, "1", 1, 10, "", RESTART,                                            \
      "when migrate creates the topic; 3 in production")                                           \
    X(kafka, message_timeout_ms, INT, "5000", 1000, 60000, "ms", RESTART,                          \
      "a record not delivered by then stays in the outbox")                                        \
    X(kafka, queue_max, INT, "100000", 100, 10000000, "records", RESTART,                          \
      "local producer queue; full: records stay in the outbox")                                    \
    X(mysql, url, SECRET, "mysql://redrain@127.0.0.1:3306/redrain", 1, 4000, "", RESTART,          \
      "mysql://user:password@host:port/database")                                                  \
    X(mysql, password_file, STR, "", 0, 4000, "", RESTART,                                         \
      "file with the password of the url's user, readable by nobody else; instead of one in the "  \
      "url")                                                                                       \
    X(mysql, tls, STR, "off", 2, 10, "", RESTART,                                                  \
      "off; required: encrypted, whoever answers; verify: and the certificate is checked")         \
    X(mysql, tls_ca_file, STR, "", 0, 4000, "", RESTART,                                           \
      "PEM file with the authority of the server's certificate; needed by verify")                 \
    X(mysql, timeout_ms, INT, "2000", 1000, 60000, "ms", RESTART,                                  \
      "connect, read and write deadline")                                                          \
    X(mysql, threads, INT, "2", 1, 16, "", RESTART, "database threads per process")                \
    X(rain, pending_ms, INT, "300", 50, 5000, "ms", RESTART,                                       \
      "PENDING is answered after this without a delivery report")                                  \
    X(rain, outbox_max, INT, "100000", 100, 10000000, "entries", RESTART,                          \
      "entries in a shard's outbox; full: BUSY")                                                   \
    X(rain, batch_max, INT, "500", 1, 500, "grabs", RESTART, "grabs per script call")              \
    X(rain, batch_window_us, INT, "1000", 0, 100000, "us", RESTART,                                \
      "longest wait for a batch to fill")                                                          \
    X(fence, policy, STR, "recover", 1, 16, "", RESTART,                                           \
      "a rain whose Redis restarted or lost data: recover goes on with it, close ends it")         \
    X(fence, wait_ms, INT, "0", 0, 600000, "ms", RESTART,                                          \
      "wait of a recovery, at least 3000; 0: 3000, and 10000 more unless topology is single")      \
    X(marketing, budget_fen, INT, "10000000", 0, 1000000000000, "fen", RESTART,                    \
      "the most one sender may put into marketing packets in a day; refunds do not give it back")  \
    X(limits, slots, INT, "131072", 1024, 16777216, "keys", RESTART,                               \
      "users and addresses that may be near a limit at once on this machine; 8 bytes each")        \
    X(limits, exempt, STR, "", 0, 4000, "", RELOAD,                                                \
      "comma list of networks that no limit by address holds for: 10.0.0.0/8, fd00::/8")           \
    X(limits, connections, INT, "0", 0, 10000000, "sockets", RELOAD,                               \
      "of all workers of this machine; more are refused with 503; 0: what the workers hold")       \
    X(limits, connections_per_address, INT, "2000", 1, 10000000, "sockets", RELOAD,                \
      "from one address (IPv6: /64); more are refused with 503")                                   \
    X(limits, connections_per_user, INT, "20", 1, 10000000, "sockets", RELOAD,                     \
      "of one user; more are closed with 4504 after HELLO")                                        \
    X(limits, noise_bytes, INT, "65536", 1024, 16777216, "bytes", RELOAD,                          \
      "of a socket in 5 s that are no message (PINGs, empty frames); more: closed with 4005")      \
    X(limits, send_per_min, INT, "10", 1, 6000, "1/min", RELOAD,                                   \
      "packets a user may SEND, burst of twice that")                                              \
    X(limits, send_total_fen, INT, "2000000", 1, 1000000000000, "fen", RELOAD,                     \
      "largest packet of a user who is not the anchor")                                            \
    X(limits, send_open, INT, "20", 1, 10000, "packets", RELOAD,                                   \
      "unfinished packets of one sender; a SEND beyond is BUSY")                                   \
    X(limits, send_room, INT, "12", 1, 16, "packets", RELOAD,                                      \
      "unfinished packets in one room; a SEND beyond is BUSY")                                     \
    X(limits, grab_per_s, INT, "10", 1, 100000, "1/s", RELOAD,                                     \
      "GRABs of a user in one rain, and of a connection, burst of twice that")                     \
    X(limits, command_per_s, INT, "20", 1, 100000, "1/s", RELOAD,                                  \
      "other commands of a user, and of a connection, burst of twice that")                        \
    X(limits, join_per_s, INT, "5", 1, 100000, "1/s", RELOAD,                                      \
      "JOINs of a user, burst of twice that")                                                      \
    X(limits, say_per_s, INT, "2", 1, 1000, "1/s", RELOAD,                                         \
      "chat messages of a user, burst of twice that")                                              \
    X(limits, address_command_per_s, INT, "5000", 1, 1000000, "1/s", RELOAD,                       \
      "commands and GRABs from one address (IPv6: /64), burst of twice that")                      \
    X(limits, address_join_per_s, INT, "500", 1, 1000000, "1/s", RELOAD,                           \
      "JOINs from one address, burst of twice that")                                               \
    X(limits, queue_bytes, INT, "262144", 4096, 16777216, "bytes", RELOAD,                         \
      "must-arrive bytes waiting for one socket; more: closed with 4008")                          \
    X(limits, queue_age_ms, INT, "20000", 1000, 600000, "ms", RELOAD,                              \
      "longest a must-arrive frame waits for its socket; longer: closed with 4008")                \
    X(limits, sndbuf_bytes, INT, "131072", 0, 16777216, "bytes", RESTART,                          \
      "SO_SNDBUF of a client socket; 0 leaves it to the kernel")                                   \
    X(shed, lag_ms, INT, "200", 0, 60000, "ms", RELOAD,                                            \
      "a loop this late refuses new connections; at 1.5, 2 and 3 times that tickers, commands "    \
      "and "                                                                                       \
      "grabs too; 0: not looked at")                                                               \
    X(shed, queue_bytes, INT, "268435456", 0, 1000000000000, "bytes", RELOAD,                      \
      "the same for must-arrive bytes that wait for all sockets of a worker; 0: not looked at")    \
    X(shed, hold_ms, INT, "2000", 100, 600000, "ms", RELOAD,                                       \
      "pressure must be gone this long before a step is taken back")                               \
    X(shed, grab_wait_ms, INT, "60", 0, 60000, "ms", RELOAD,                                       \
      "grabs that would wait longer in a worker, at its pace, are BUSY at once; 0: no bound")      \
    X(shed, grabs_least, INT, "1024", 1, 65536, "grabs", RELOAD,                                   \
      "so many may wait in a worker whatever its pace")                                            \
    X(settler, connections, INT, "2", 1, 16, "connections", RESTART,                               \
      "transactions at once, each of another partition on a connection of its own")                \
    X(settler, batch_max, INT, "1000", 1, 1000, "records", RESTART, "records per transaction")     \
    X(settler, batch_wait_ms, INT, "20", 0, 1000, "ms", RESTART,                                   \
      "longest wait for a batch to fill")                                                          \
    X(settler, task_interval_ms, INT, "200", 10, 60000, "ms", RESTART,                             \
      "how often due tasks are looked for")                                                        \
    X(settler, alarm_tries, INT, "10", 0, 1000000, "tries", RESTART,                               \
      "a step that failed this often is logged as an error and counted in tasks_stuck; it is "     \
      "tried on; 0: never")                                                                        \
    X(settler, verify_interval_s, INT, "300", 0, 86400, "s", RESTART,                              \
      "how often the checker runs; 0: never")                                                      \
    X(risk, deny_own, BOOL, "true", 0, 1, "", RELOAD, "the sender of a rain may not grab from it") \
    X(risk, deny_grabs_per_min, INT, "600", 0, 1000000, "", RELOAD,                                \
      "GRABs of one user in a minute over all workers; more: NOT_ELIGIBLE; 0: no such rule")       \
    X(risk, deny_early_grabs, INT, "30", 0, 1000000, "", RELOAD,                                   \
      "GRABs of one user before a rain opens; more: NOT_ELIGIBLE in that rain; 0: no such rule")   \
    X(risk, deny_anchor_day_fen, INT, "0", 0, 100000000000000, "fen", RELOAD,                      \
      "what one sender may put into rains in a day; more: the create is NOT_ELIGIBLE; 0: no such " \
      "rule")                                                                                      \
    X(risk, hold_grab_fen, INT, "2000000", 0, 100000000000000, "fen", RELOAD,                      \
      "a packet above this is held for review; 0: no such rule")                                   \
    X(risk, hold_user_day_fen, INT, "5000000", 0, 100000000000000, "fen", RELOAD,                  \
      "what one user wins in a day above this is held; 0: no such rule")                           \
    X(risk, hold_accounts_per_address, INT, "500", 0, 4000, "users", RELOAD,                       \
      "users that grab from one address (IPv6: /64) within 10 minutes; what more of them win is "  \
      "held; 0: no such rule")                                                                     \
    X(risk, hold_steady_pct, INT, "5", 0, 50, "%", RELOAD,                                         \
      "16 intervals between taps that vary less than this: what follows is held; 0: no such rule") \
    X(risk, hold_fresh_s, INT, "60", 0, 31536000, "s", RELOAD,                                     \
      "an account younger than this (claim since) wins held packets; 0: no such rule")             \
    X(risk, utc_offset_min, INT, "480", -720, 840, "min", RESTART,                                 \
      "when a day begins for the rules that count by day")                                         \
    X(risk, address_header, STR, "x-forwarded-for", 1, 40, "", RESTART,                            \
      "x-real-ip or x-forwarded-for: where proxies of server.trusted_proxies say who the client "  \
      "is")                                                                                        \
    X(risk, address_key_file, STR, "", 0, 4000, "", RESTART,                                       \
      "file whose content keys the hashes of addresses, the same on all servers; empty: random "   \
      "at each start")                                                                             \
    X(archive, min_age_days, INT, "0", 0, 36500, "days", RESTART,                                  \
      "how long a rain must be over before it may be archived; 0: as long as Kafka keeps "         \
      "records, and 7 days")                                                                       \
    X(archive, audit_days, INT, "400", 0, 36500, "days", RESTART,                                  \
      "how long rows of the console's audit trail are kept; redrainctl archive deletes older "     \
      "ones; 0: for ever")                                                                         \
    X(log, level, STR, "info", 1, 10, "", RELOAD, "debug, info, notice, warn, error")

#endif

/* metrics_map.h - every metric: one row. Each process has one struct rr_metrics in a mapping shared
 * with the admin child, which sums them on scrape: no atomics on the hot path beyond relaxed adds
 * of the owner. Names get the prefix redrain_; counters end in _total, histograms are in seconds.
 * No room or user ids as labels. */
#ifndef BASE_METRICS_MAP_H
#define BASE_METRICS_MAP_H

/*        field                    type       help */
#define METRIC_MAP(X)                                                                              \
    X(connections, GAUGE, "open client sockets")                                                   \
    X(connections_opened_total, COUNTER, "accepted client sockets")                                \
    X(connections_closed_total, COUNTER, "closed client sockets")                                  \
    X(handshakes_refused_total, COUNTER, "handshakes refused: origin, path, limit")                \
    X(connections_refused_full_total, COUNTER, "sockets and users refused, by reason")             \
    X(connections_refused_address_total, COUNTER, "")                                              \
    X(connections_refused_user_total, COUNTER, "")                                                 \
    X(connections_refused_descriptors_total, COUNTER, "")                                          \
    X(connections_refused_proxy_total, COUNTER, "")                                                \
    X(connections_refused_shed_total, COUNTER, "")                                                 \
    X(connections_late_proxy_total, COUNTER, "sockets closed for being late, by phase")            \
    X(connections_late_handshake_total, COUNTER, "")                                               \
    X(connections_late_page_total, COUNTER, "")                                                    \
    X(connections_late_hello_total, COUNTER, "")                                                   \
    X(connections_late_join_total, COUNTER, "")                                                    \
    X(connections_late_idle_total, COUNTER, "")                                                    \
    X(floods_closed_total, COUNTER, "sockets closed with 4005: bytes that are no messages")        \
    X(auth_failures_total, COUNTER, "tokens refused")                                              \
    X(api_refused_total, COUNTER, "requests to the API without its token")                         \
    X(bans, GAUGE, "bans in force as the workers know them, summed over them")                     \
    X(banned_closed_total, COUNTER, "sockets closed with 4503 by a ban")                           \
    X(tokens_refreshed_total, COUNTER, "newer tokens taken on an open connection")                 \
    X(draining, GAUGE, "processes that are leaving")                                               \
    X(ready, GAUGE, "1 when /readyz answers 200")                                                  \
    X(goaways_sent_total, COUNTER, "sockets that were told to leave, each at its time")            \
    X(drain_closed_total, COUNTER, "sockets closed with 4001 because they did not leave in time")  \
    X(drain_seconds, HISTOGRAM, "signal to the last socket gone")                                  \
    X(rooms, GAUGE, "rooms with members on this process")                                          \
    X(members, GAUGE, "joined sockets")                                                            \
    X(joins_total, COUNTER, "answered JOINs")                                                      \
    X(frames_received_total, COUNTER, "client messages")                                           \
    X(frames_sent_total, COUNTER, "frames handed to the socket")                                   \
    X(short_sends_total, COUNTER, "frames that a socket took only in part at first")               \
    X(bytes_received_total, COUNTER, "bytes of client messages")                                   \
    X(bytes_sent_total, COUNTER, "bytes of frames handed to the socket")                           \
    X(protocol_errors_total, COUNTER, "messages that did not parse")                               \
    X(rate_limited_connection_total, COUNTER, "commands over a limit, by whose limit it was")      \
    X(rate_limited_user_total, COUNTER, "")                                                        \
    X(rate_limited_address_total, COUNTER, "")                                                     \
    X(limit_slots_forgotten_total, COUNTER,                                                        \
      "keys of limits that lost their place or found none: limits.slots is too small")             \
    X(shed_level, GAUGE, "steps of load shedding in force, summed over the workers; 0: none")      \
    X(shed_latest_total, COUNTER, "what was refused or not sent under pressure, by what it was")   \
    X(shed_command_total, COUNTER, "")                                                             \
    X(shed_grab_total, COUNTER, "")                                                                \
    X(broadcasts_total, COUNTER, "fan-outs started")                                               \
    X(frames_expected_total, COUNTER,                                                              \
      "frames meant for sessions: sent + dropped + closed + queued + lost")                        \
    X(frames_dropped_total, COUNTER,                                                               \
      "latest-wins frames replaced or too old before they were sent")                              \
    X(frames_closed_total, COUNTER, "frames still queued when their session closed")               \
    X(frames_lost_total, COUNTER,                                                                  \
      "frames that were queued in a worker when it died, booked by the supervisor")                \
    X(frames_queued, GAUGE, "frames waiting for sockets, in both lanes")                           \
    X(outbound_queue_bytes, GAUGE, "must-arrive bytes waiting for sockets")                        \
    X(slow_consumers_closed_total, COUNTER, "sockets closed with 4008")                            \
    X(grabs_total, COUNTER, "GRAB messages")                                                       \
    X(grabs_memory_total, COUNTER, "GRABs answered from memory")                                   \
    X(grabs_ok_total, COUNTER, "GRABs answered OK")                                                \
    X(grabs_pending_total, COUNTER, "GRABs answered PENDING first")                                \
    X(grabs_refused_total, COUNTER, "GRABs answered with any other code")                          \
    X(grabs_inflight, GAUGE, "GRABs without a final answer")                                       \
    X(grab_seconds, HISTOGRAM, "GRAB received to final answer")                                    \
    X(money_granted_fen_total, COUNTER, "fen told to viewers")                                     \
    X(redis_up, GAUGE, "1 when the command connection is up")                                      \
    X(redis_calls_total, COUNTER, "commands and scripts sent")                                     \
    X(redis_errors_total, COUNTER, "error replies and lost calls")                                 \
    X(redis_reconnects_total, COUNTER, "times the connection came up again")                       \
    X(redis_redirects_total, COUNTER, "MOVED and ASK of a cluster that were followed")             \
    X(redis_call_seconds, HISTOGRAM, "sent to reply")                                              \
    X(pushes_up, GAUGE, "1 when what the worker publishes to itself comes back")                   \
    X(pushes_lost_total, COUNTER, "times the subscriber connection brought no push any more")      \
    X(push_seconds, HISTOGRAM, "published to oneself and back through Redis")                      \
    X(kafka_up, GAUGE,                                                                             \
      "processes that reach Kafka: workers by their reports, the admin child by asking")           \
    X(kafka_produced_total, COUNTER, "records handed to the producer")                             \
    X(kafka_delivered_total, COUNTER, "delivery reports without an error")                         \
    X(kafka_failed_total, COUNTER, "delivery reports with an error, and full queues")              \
    X(kafka_queue_messages, GAUGE, "records without a delivery report")                            \
    X(kafka_delivery_seconds, HISTOGRAM, "produced to delivery report")                            \
    X(outbox_swept_total, COUNTER, "outbox entries produced again by the sweeper")                 \
    X(db_jobs_total, COUNTER, "jobs run by database threads")                                      \
    X(db_jobs_refused_total, COUNTER, "jobs refused because the queue was full")                   \
    X(db_statements_total, COUNTER, "SQL statements of jobs, without the background's")            \
    X(db_background_statements_total, COUNTER, "SQL statements of the sweeper and of probes")      \
    X(stats_cached_total, COUNTER, "STATS of a running rain answered without SQL")                 \
    X(stats_missed_total, COUNTER, "STATS of a running rain that had to ask SQL")                  \
    X(audit_lost_total, COUNTER, "actions whose row in rp_audit could not be written")             \
    X(db_queue, GAUGE, "jobs waiting for a database thread")                                       \
    X(db_up, GAUGE, "1 when the last database call worked")                                        \
    X(risk_denied_total, COUNTER, "GRABs refused by a rule")                                       \
    X(risk_marked_total, COUNTER, "users whose winnings in a rain are held by a rule")             \
    X(risk_notes_dropped_total, COUNTER, "decisions logged but not stored: the queue was full")    \
    X(risk_users, GAUGE, "users whose grabs are remembered")                                       \
    X(risk_forgotten_total, COUNTER, "users and addresses dropped because memory is bounded")      \
    X(fu_cards_total, COUNTER, "cards of campaigns drawn; repeated asks are not counted")          \
    X(fu_gifts_total, COUNTER, "cards given to another user")                                      \
    X(fu_joins_total, COUNTER, "users who handed in five cards")                                   \
    X(config_reload_success, GAUGE, "1 when the configuration was valid when last read")           \
    X(config_last_reload_timestamp_seconds, GAUGE,                                                 \
      "when a configuration was last taken, at start or by SIGHUP")                                \
    X(tls_certificate_expiry_timestamp_seconds, GAUGE,                                             \
      "when the certificate of the public listener expires; 0: no TLS")                            \
    X(config_refused_total, COUNTER, "reloads refused because the configuration was wrong")        \
    X(loop_lag_seconds, HISTOGRAM, "how late a 100 ms timer of the loop fired")

/* Rows that are shown as one metric with a label: they follow each other in the table above, and the
 * first has the help text. */
#define METRIC_LABEL_MAP(X)                                                                        \
    X(connections_refused_full_total, connections_refused_total, "reason", "full")                 \
    X(connections_refused_address_total, connections_refused_total, "reason", "address")           \
    X(connections_refused_user_total, connections_refused_total, "reason", "user")                 \
    X(connections_refused_descriptors_total, connections_refused_total, "reason", "descriptors")   \
    X(connections_refused_proxy_total, connections_refused_total, "reason", "proxy")               \
    X(connections_refused_shed_total, connections_refused_total, "reason", "shed")                 \
    X(connections_late_proxy_total, connections_late_total, "phase", "proxy")                      \
    X(connections_late_handshake_total, connections_late_total, "phase", "handshake")              \
    X(connections_late_page_total, connections_late_total, "phase", "page")                        \
    X(connections_late_hello_total, connections_late_total, "phase", "hello")                      \
    X(connections_late_join_total, connections_late_total, "phase", "join")                        \
    X(connections_late_idle_total, connections_late_total, "phase", "idle")                        \
    X(shed_latest_total, shed_total, "what", "latest")                                             \
    X(shed_command_total, shed_total, "what", "command")                                           \
    X(shed_grab_total, shed_total, "what", "grab")                                                 \
    X(rate_limited_connection_total, rate_limited_total, "scope", "connection")                    \
    X(rate_limited_user_total, rate_limited_total, "scope", "user")                                \
    X(rate_limited_address_total, rate_limited_total, "scope", "address")

/* Metrics of the settler, which has its own listener-less dump: written to Redis and shown by the
 * admin child. */
#define SETTLER_METRIC_MAP(X)                                                                      \
    X(settled_total, COUNTER, "grants brought into the books")                                     \
    X(settled_fen_total, COUNTER, "fen brought into wallets")                                      \
    X(duplicates_total, COUNTER, "records already in the books")                                   \
    X(conflicts_total, COUNTER, "records put into rp_conflict")                                    \
    X(dead_total, COUNTER, "records put into rp_dead")                                             \
    X(held_total, COUNTER, "grants settled but held for review")                                   \
    X(credits_dropped_total, COUNTER, "settled grants nobody was told: the queue was full")        \
    X(settler_config_reload_success, GAUGE,                                                        \
      "1 when the settler's configuration was valid when last read")                               \
    X(settler_config_last_reload_timestamp_seconds, GAUGE,                                         \
      "when the settler last took a configuration")                                                \
    X(settle_lag_messages, GAUGE, "records behind the high watermark")                             \
    X(tasks_run_total, COUNTER, "steps of rains run")                                              \
    X(tasks_stuck, GAUGE, "open steps that failed settler.alarm_tries times; look at rp_task")     \
    X(tasks_unindexed_total, COUNTER,                                                              \
      "overdue steps that MySQL's index of due steps did not show: the index is corrupt")          \
    X(mysql_errors_total, COUNTER, "transactions that failed and were run again")                  \
    X(rains_recovering, GAUGE, "rains whose pool is being recovered")                              \
    X(recoveries_full_total, COUNTER, "pools rebuilt from the books")                              \
    X(recoveries_quick_total, COUNTER, "pools that were kept whole")                               \
    X(redis_epoch_changes_total, COUNTER, "times another run of Redis answered, or a wiped one")   \
    X(fu_shared_total, COUNTER, "campaigns of five cards that became a packet")                    \
    X(fu_given_back_total, COUNTER, "campaigns nobody joined: the pool went back")                 \
    X(fu_failed_total, COUNTER, "campaigns whose packet could not be made: the pool went back")    \
    X(money_unaccounted_fen, GAUGE, "what the books cannot explain; must be 0")                    \
    X(findings, GAUGE, "findings of the last check")

#endif

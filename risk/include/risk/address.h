/* address.h - a client's address as a keyed hash: it tells two addresses apart and says nothing to
 * who has not got the key. IPv6 counts by /64. */
#ifndef RISK_ADDRESS_H
#define RISK_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RISK_KEY_BYTES = 16, RISK_ADDRESS_TEXT = 17 };

struct risk_key {
    uint8_t bytes[RISK_KEY_BYTES];
};

void risk_key_random(struct risk_key *key);
/* From the content of a file, at least 16 bytes. RR_CONFIG: not readable, or too short. */
RR_MUST_CHECK enum rr_err risk_key_load(struct risk_key *key, const char *file);
/* As hex, for the environment of child processes. */
void risk_key_print(const struct risk_key *key, char out[2 * RISK_KEY_BYTES + 1]);
RR_MUST_CHECK enum rr_err risk_key_parse(struct risk_key *key, const char *hex);

/* 0: not an address, or one that stands for many or for none (loopback, private, link-local): such
 * users are not counted by address. */
uint64_t risk_address_hash(const struct risk_key *key, const char *text);
/* The last entry of "a, b, c": what the nearest proxy saw. text: cut in place. */
const char *risk_address_last(char *text);
/* 16 hex digits; "" for 0. */
void risk_address_print(uint64_t address, char out[RISK_ADDRESS_TEXT]);

#endif

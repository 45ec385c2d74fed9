/* schema.h - the files of schema/, embedded at build time, in ascending order of version; ends with version 0. */
#ifndef SETTLE_LEDGER_SCHEMA_H
#define SETTLE_LEDGER_SCHEMA_H

struct schema_file {
    int version;
    const char *name;
    const char *sql; /* statements, each ended by a semicolon at the end of a line */
};

extern const struct schema_file schema_files[];

#endif

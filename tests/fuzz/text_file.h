/* text_file.h - a file in memory whose text is replaced for every input: what loads by name can be
 * fuzzed without a disk. */
#ifndef TESTS_FUZZ_TEXT_FILE_H
#define TESTS_FUZZ_TEXT_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct text_file {
    int fd; /* 0: not made yet */
    char name[64];
};

static inline int text_file_set(struct text_file *f, const void *p, size_t len)
{
    if (!f->fd) {
        f->fd = memfd_create("fuzz", 0);
        snprintf(f->name, sizeof(f->name), "/proc/self/fd/%d", f->fd);
        (void)!fchmod(f->fd, 0600);
    }
    return ftruncate(f->fd, 0) == 0 && pwrite(f->fd, p, len, 0) == (ssize_t)len;
}

#endif

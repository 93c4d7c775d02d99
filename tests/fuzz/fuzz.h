/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share. A target is one function that libFuzzer calls
 * with bytes; it feeds them to a parser and says by must() what has to hold
 * whatever the bytes were. Sanitizers watch over memory and arithmetic.
 */
#ifndef KC_FUZZ_H
#define KC_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entries */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/** must() - what has to hold; libFuzzer keeps the bytes that broke it */
#define must(cond) ((cond) ? (void)0 : fuzz_broken(#cond, __FILE__, __LINE__))

_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/** fuzz_text() - @data as a string in memory of just its size; free() it */
char *fuzz_text(const uint8_t *data, size_t len);

/** fuzz_printable() - is this one line of printable ASCII, as an error must be? */
bool fuzz_printable(const char *s);

/**
 * fuzz_dir() - an empty directory of this process, mode 0700, removed when it ends
 *
 * In memory where there is /dev/shm: what is tested calls fsync(). $TMPDIR takes
 * precedence.
 */
const char *fuzz_dir(void);

#endif

/* The ways in which C fails. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void fault(const uint8_t *how, uint64_t length);

static volatile int zero;

static int deeper(volatile char *above) {
    if (!above[0]) return 0;
    volatile char room[4096];
    room[0] = above[0];
    return deeper(room) + room[1];
}

static int is(const uint8_t *how, uint64_t length, const char *text) {
    return length == strlen(text) && memcmp(how, text, length) == 0;
}

void fault(const uint8_t *how, uint64_t length) {
    volatile char start = 1;
    if (is(how, length, "null")) *(volatile int *)(uintptr_t)zero = 1;
    if (is(how, length, "trap")) __builtin_trap();
    if (is(how, length, "divide")) zero = 100 / zero;
    if (is(how, length, "abort")) abort();
    if (is(how, length, "stack")) zero = deeper(&start);
    if (is(how, length, "loop"))
        while (zero == 0) {}
}

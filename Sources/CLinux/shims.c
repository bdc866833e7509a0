#include "CLinux.h"

/* xoshiro256** (Blackman and Vigna, public domain), one state per thread. */
uint64_t clinux_random_word(void) {
    static _Thread_local uint64_t state[4];
    while ((state[0] | state[1] | state[2] | state[3]) == 0) {
        if (getrandom(state, sizeof state, 0) != (long)sizeof state) state[0] = 0;
    }
    uint64_t product = state[1] * 5;
    uint64_t result = ((product << 7) | (product >> 57)) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 45) | (state[3] >> 19);
    return result;
}

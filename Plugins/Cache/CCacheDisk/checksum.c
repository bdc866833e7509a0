#include "CCacheDisk.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

uint32_t cachedisk_crc_plain(uint32_t crc, const void *bytes, size_t count) {
    /* The polynomial 0x1EDC6F41, reflected, for each value of four bits. */
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
        0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
        0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *next = bytes;
    crc = ~crc;
    for (size_t index = 0; index < count; index++) {
        crc ^= next[index];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#define CACHEDISK_TARGET __attribute__((target("sse4.2")))
#define CACHEDISK_CRC8(crc, byte) __builtin_ia32_crc32qi((crc), (byte))
#define CACHEDISK_CRC64(crc, word) ((uint32_t)__builtin_ia32_crc32di((crc), (word)))
#else
#define CACHEDISK_TARGET __attribute__((target("crc")))
#define CACHEDISK_CRC8(crc, byte) __builtin_arm_crc32cb((crc), (byte))
#define CACHEDISK_CRC64(crc, word) __builtin_arm_crc32cd((crc), (word))
#endif

CACHEDISK_TARGET
static uint32_t cachedisk_crc_fast(uint32_t crc, const uint8_t *next, size_t count) {
    crc = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        crc = CACHEDISK_CRC64(crc, word);
    }
    for (; count > 0; count--, next++) crc = CACHEDISK_CRC8(crc, *next);
    return ~crc;
}

static int cachedisk_has_crc(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2);
#else
    return (getauxval(AT_HWCAP) & (1 << 7)) != 0; /* HWCAP_CRC32 */
#endif
}

uint32_t cachedisk_crc(uint32_t crc, const void *bytes, size_t count) {
    static _Atomic int8_t known; /* 1: it has the instruction, -1: it has not */
    if (known == 0) known = cachedisk_has_crc() ? 1 : -1;
    if (known > 0) return cachedisk_crc_fast(crc, bytes, count);
    return cachedisk_crc_plain(crc, bytes, count);
}

#else

uint32_t cachedisk_crc(uint32_t crc, const void *bytes, size_t count) {
    return cachedisk_crc_plain(crc, bytes, count);
}

#endif

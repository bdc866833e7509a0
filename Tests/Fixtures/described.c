/* A library that says what it is, and nothing else. */
#include <sluice/sluice.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2", /* comments of C are no part of it */
    "id": "org.example.described",
    "version": "1.0.0",
    "description": "It says \"a\\b\", {}, (, and ' as they are."
});

#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.random",
    "version": "0.1.0",
    "description": "Weighted random choice of an upstream's peers.",
    "hooks": [],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1"],
    "config": { "type": "object", "additionalProperties": false }
});

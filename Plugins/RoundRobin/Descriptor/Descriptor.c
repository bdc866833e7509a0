#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.round-robin",
    "version": "0.1.0",
    "description": "Smooth weighted round robin over an upstream's peers.",
    "hooks": [],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1"],
    "config": { "type": "object", "additionalProperties": false }
});

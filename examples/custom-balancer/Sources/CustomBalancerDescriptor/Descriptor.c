#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.custom-balancer",
    "version": "1.0.0",
    "description": "Picks the peer with the fewest requests, of the first priority that has one.",
    "hooks": [],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1"],
    "config": { "type": "object", "additionalProperties": false }
});

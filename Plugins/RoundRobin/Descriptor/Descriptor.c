#include "../../Shared/BalancerSchema/balancer_schema.h"

DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.round-robin",
    "version": "0.1.0",
    "description": "Smooth weighted round robin over an upstream's peers.",
    "hooks": ["request_headers", "response_headers"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            BALANCER_KEYS
        }
    }
});

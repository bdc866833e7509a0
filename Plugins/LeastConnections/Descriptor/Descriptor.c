#include "../../Shared/BalancerSchema/balancer_schema.h"

DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.least-connections",
    "version": "0.1.0",
    "description": "The least busy peer, of a few drawn by chance or of all.",
    "hooks": ["request_headers", "response_headers"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "choices": {
                "anyOf": [{ "type": "integer", "minimum": 2, "maximum": 16 }, { "const": "all" }],
                "default": 2
            },
            "measure": { "enum": ["requests", "latency"], "default": "requests" },
            BALANCER_KEYS
        }
    }
});

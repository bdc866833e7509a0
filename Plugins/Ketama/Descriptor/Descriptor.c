#include "../../Shared/BalancerSchema/balancer_schema.h"

DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.ketama",
    "version": "0.1.0",
    "description": "Consistent hashing on the ring of nginx's `hash KEY consistent`.",
    "hooks": ["request_headers", "response_headers"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "key": {
                "type": ["string", "array"],
                "items": { "type": "string" },
                "minItems": 1,
                "maxItems": 8
            },
            "max_load": { "type": "number", "minimum": 1, "maximum": 100 },
            "points": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 160 },
            BALANCER_KEYS
        }
    }
});

#include "../../Shared/BalancerSchema/balancer_schema.h"

DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.maglev",
    "version": "0.1.0",
    "description": "Consistent hashing by the table of the Maglev paper.",
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
            "table_size": {
                "type": "integer",
                "minimum": 251,
                "maximum": 5000011,
                "default": 65537
            },
            BALANCER_KEYS
        }
    }
});

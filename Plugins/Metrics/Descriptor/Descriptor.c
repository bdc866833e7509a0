#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.metrics",
    "version": "0.1.0",
    "description": "Serves all metrics to Prometheus.",
    "hooks": ["request_end", "request_headers"],
    "roles": [],
    "required": ["sluice.core/1", "sluice.http/1", "sluice.metrics/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "path": { "type": "string", "minLength": 1, "maxLength": 1024, "default": "/metrics" },
            "allow": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": 256
            },
            "scrapes": { "type": "integer", "minimum": 1, "maximum": 64, "default": 4 }
        }
    }
});

#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.auth-callout",
    "version": "1.0.0",
    "description": "Asks a service of the manifest whether a request may pass.",
    "hooks": ["request_headers"],
    "roles": [],
    "required": [
        "sluice.core/1", "sluice.http/1", "sluice.http_client/1", "sluice.shared/1"
    ],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "required": ["upstream"],
        "properties": {
            "upstream": { "type": "string", "minLength": 1 },
            "path": { "type": "string", "minLength": 1, "default": "/" },
            "timeout": { "type": "string", "format": "duration", "default": "2s" },
            "copy": {
                "description": "Fields of the service's answer that the origin gets.",
                "type": "array", "items": { "type": "string", "format": "field-name" },
                "maxItems": 16, "uniqueItems": true, "default": []
            },
            "on_unavailable": { "enum": ["closed", "open"], "default": "closed" },
            "cache_ttl": {
                "description": "For how long a yes is remembered; 0s: not at all.",
                "type": "string", "format": "duration", "default": "10s"
            },
            "cache_by": { "enum": ["request", "credentials"], "default": "request" },
            "cache_entries": {
                "type": "integer", "minimum": 64, "maximum": 16777216, "default": 4096
            }
        }
    }
});

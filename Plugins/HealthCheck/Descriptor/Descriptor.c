#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.health-check",
    "version": "0.1.0",
    "description": "Checks peers, and takes those out that fail requests.",
    "hooks": ["upstream_result"],
    "roles": [],
    "required": ["sluice.core/1", "sluice.peers/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "upstreams": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": 64
            },
            "panic": { "type": "integer", "minimum": 0, "maximum": 100, "default": 0 },
            "active": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "type": { "enum": ["http", "http2", "grpc", "tcp"], "default": "http" },
                    "interval": { "type": "string", "format": "duration", "default": "2s" },
                    "jitter": {
                        "type": "integer", "minimum": 0, "maximum": 50, "default": 10
                    },
                    "timeout": { "type": "string", "format": "duration", "default": "1s" },
                    "rise": { "type": "integer", "minimum": 1, "maximum": 100, "default": 2 },
                    "fall": { "type": "integer", "minimum": 1, "maximum": 100, "default": 3 },
                    "initial": { "enum": ["healthy", "unhealthy"], "default": "healthy" },
                    "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
                    "method": { "type": "string", "minLength": 1 },
                    "path": { "type": "string", "minLength": 1 },
                    "host": { "type": "string", "minLength": 1 },
                    "service": { "type": "string", "maxLength": 256 },
                    "status": {
                        "type": "array",
                        "items": {
                            "anyOf": [
                                { "type": "integer", "minimum": 200, "maximum": 599 },
                                { "type": "string", "minLength": 7, "maxLength": 7 }
                            ]
                        },
                        "minItems": 1,
                        "maxItems": 32
                    },
                    "body": { "type": "string", "minLength": 1, "maxLength": 1024 },
                    "tls": {
                        "anyOf": [
                            { "enum": ["upstream", "off"] },
                            {
                                "type": "object",
                                "additionalProperties": false,
                                "properties": {
                                    "server_name": { "type": "string", "minLength": 1 },
                                    "verify": { "enum": ["full", "none"], "default": "full" },
                                    "ca": { "type": "string", "minLength": 1 }
                                }
                            }
                        ],
                        "default": "upstream"
                    }
                }
            },
            "passive": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "consecutive": {
                        "type": "integer", "minimum": 0, "maximum": 1000000, "default": 5
                    },
                    "rate": { "type": "integer", "minimum": 0, "maximum": 100, "default": 0 },
                    "window": { "type": "string", "format": "duration", "default": "10s" },
                    "requests": {
                        "type": "integer", "minimum": 1, "maximum": 1000000, "default": 50
                    },
                    "eject": { "type": "string", "format": "duration", "default": "30s" },
                    "eject_max": { "type": "string", "format": "duration", "default": "5m" },
                    "ejected_max": {
                        "type": "integer", "minimum": 0, "maximum": 100, "default": 10
                    }
                }
            }
        }
    }
});

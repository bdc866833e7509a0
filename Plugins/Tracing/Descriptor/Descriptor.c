#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.tracing",
    "version": "0.1.0",
    "description": "Takes part in traces (W3C Trace Context), and exports spans (OTLP).",
    "hooks": [
        "request_end", "request_headers", "response_headers", "upstream_request",
        "upstream_result"
    ],
    "roles": ["sluice.handover/1"],
    "required": ["sluice.core/1", "sluice.http/1", "sluice.http_client/1"],
    "attributes": { "produces": ["trace.id", "span.id"], "consumes": [] },
    "config": {
        "type": "object",
        "additionalProperties": false,
        "required": ["collector"],
        "properties": {
            "collector": { "type": "string", "minLength": 1, "maxLength": 256 },
            "path": {
                "type": "string", "minLength": 1, "maxLength": 1024, "default": "/v1/traces"
            },
            "encoding": { "enum": ["protobuf", "json"], "default": "protobuf" },
            "headers": {
                "type": "array",
                "maxItems": 8,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name"],
                    "properties": {
                        "name": { "type": "string", "minLength": 1, "maxLength": 128 },
                        "value": { "type": "string", "minLength": 1, "maxLength": 4096 },
                        "value_file": { "type": "string", "minLength": 1 }
                    }
                }
            },
            "timeout": { "type": "string", "format": "duration", "default": "5s" },
            "service": {
                "type": "string", "minLength": 1, "maxLength": 256, "default": "sluice"
            },
            "resource": {
                "type": "object",
                "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 256 }
            },
            "sampling": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "ratio": { "type": "number", "minimum": 0, "maximum": 1, "default": 1 },
                    "parent": { "enum": ["follow", "ratio", "restart"], "default": "follow" },
                    "trusted": {
                        "type": "array", "items": { "type": "string" }, "maxItems": 256
                    },
                    "on_error": { "type": "boolean", "default": true },
                    "slow": { "type": "string", "format": "duration" }
                }
            },
            "slow_hook": { "type": "string", "format": "duration", "default": "1ms" },
            "b3": { "type": "boolean", "default": false },
            "response": {
                "type": "array",
                "maxItems": 2,
                "items": { "enum": ["traceresponse", "server_timing"] }
            },
            "query": { "enum": ["redact", "keep", "drop"], "default": "redact" },
            "redact": {
                "type": "array",
                "maxItems": 64,
                "items": { "type": "string", "minLength": 1, "maxLength": 128 }
            },
            "batch": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "size": {
                        "type": "integer", "minimum": 1, "maximum": 4096, "default": 512
                    },
                    "delay": { "type": "string", "format": "duration", "default": "1s" },
                    "queue": {
                        "type": "integer", "minimum": 64, "maximum": 65536, "default": 2048
                    },
                    "give_up": { "type": "string", "format": "duration", "default": "1m" }
                }
            }
        }
    }
});

#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.rate-limit",
    "version": "0.1.0",
    "description": "Limits requests by rate and by how many are under way.",
    "hooks": ["request_end", "request_headers", "response_headers"],
    "roles": [],
    "required": ["sluice.core/1", "sluice.http/1", "sluice.shared/1", "sluice.waitset/1"],
    "attributes": { "produces": ["ratelimit.rule", "ratelimit.decision"], "consumes": [] },
    "config": {
        "type": "object",
        "additionalProperties": false,
        "required": ["rules"],
        "properties": {
            "rules": {
                "type": "array",
                "minItems": 1,
                "maxItems": 16,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "limit"],
                    "properties": {
                        "name": { "type": "string", "minLength": 1, "maxLength": 64 },
                        "algorithm": {
                            "enum": ["sliding_window", "token_bucket", "concurrency"],
                            "default": "sliding_window"
                        },
                        "key": {
                            "anyOf": [
                                { "type": "string" },
                                { "type": "array", "items": { "type": "string" }, "maxItems": 8 }
                            ]
                        },
                        "limit": { "type": "integer", "minimum": 1, "maximum": 1000000 },
                        "window": { "type": "string", "format": "duration" },
                        "burst": { "type": "integer", "minimum": 1, "maximum": 1000000 },
                        "delay": { "type": "string", "format": "duration" },
                        "queue": { "type": "integer", "minimum": 1, "maximum": 65536 },
                        "ipv4_prefix": {
                            "type": "integer", "minimum": 1, "maximum": 32, "default": 32
                        },
                        "ipv6_prefix": {
                            "type": "integer", "minimum": 1, "maximum": 128, "default": 64
                        },
                        "if_missing": { "enum": ["skip", "share"], "default": "skip" },
                        "allow": {
                            "type": "array",
                            "items": { "type": "string" },
                            "maxItems": 256
                        },
                        "dry_run": { "type": "boolean", "default": false },
                        "width": { "type": "integer", "minimum": 256, "maximum": 1048576 },
                        "keys": { "type": "integer", "minimum": 1024, "maximum": 4194304 },
                        "shared": { "type": "boolean" },
                        "status": {
                            "type": "integer", "minimum": 400, "maximum": 599, "default": 429
                        },
                        "retry_after": { "type": "string", "format": "duration" }
                    }
                }
            },
            "allow": { "type": "array", "items": { "type": "string" }, "maxItems": 256 },
            "body": { "type": "string", "maxLength": 16384 },
            "fields": { "enum": ["draft", "legacy", "both", "none"], "default": "draft" },
            "store": {
                "type": "object",
                "additionalProperties": false,
                "required": ["address"],
                "properties": {
                    "address": { "type": "string", "minLength": 1 },
                    "user": { "type": "string", "minLength": 1, "maxLength": 128 },
                    "password_file": { "type": "string", "minLength": 1 },
                    "database": {
                        "type": "integer", "minimum": 0, "maximum": 65535, "default": 0
                    },
                    "prefix": {
                        "type": "string", "minLength": 1, "maxLength": 64, "default": "sluice"
                    },
                    "sync": { "type": "string", "format": "duration", "default": "100ms" },
                    "timeout": { "type": "string", "format": "duration", "default": "250ms" },
                    "on_down": { "enum": ["local", "allow", "refuse"], "default": "local" }
                }
            }
        }
    }
});

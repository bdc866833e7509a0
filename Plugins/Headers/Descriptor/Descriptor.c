#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.headers",
    "version": "0.1.0",
    "description": "Edits fields, adds X-Forwarded-*, Forwarded, Via and request ids.",
    "hooks": ["request_headers", "response_headers"],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "request": { "$ref": "#/$defs/rules" },
            "response": { "$ref": "#/$defs/rules" },
            "forwarded": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "mode": {
                        "enum": ["x-forwarded", "rfc7239", "both", "off"],
                        "default": "x-forwarded"
                    },
                    "trusted_proxies": {
                        "type": "array",
                        "items": {
                            "type": "string",
                            "anyOf": [
                                { "format": "cidr" }, { "format": "ip" }, { "const": "unix:" }
                            ]
                        },
                        "maxItems": 256
                    },
                    "append_port": { "type": "boolean", "default": false }
                }
            },
            "request_id": {
                "anyOf": [
                    { "type": "boolean" },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "header": {
                                "type": "string",
                                "format": "field-name",
                                "default": "x-request-id"
                            },
                            "trust": { "type": "boolean", "default": false },
                            "echo": { "type": "boolean", "default": false }
                        }
                    }
                ],
                "default": {}
            },
            "via": { "type": "string", "minLength": 1 }
        },
        "$defs": {
            "rules": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "set": { "$ref": "#/$defs/edits" },
                    "add": { "$ref": "#/$defs/edits" },
                    "add_if_absent": { "$ref": "#/$defs/edits" },
                    "remove": {
                        "type": "array",
                        "items": { "type": "string", "format": "field-name" }
                    }
                }
            },
            "edits": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "value"],
                    "properties": {
                        "name": { "type": "string", "format": "field-name" },
                        "value": { "type": "string" }
                    }
                }
            }
        }
    }
});

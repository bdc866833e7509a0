#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.discovery",
    "version": "0.1.0",
    "description": "Peers of upstreams from DNS, a watched file or Consul.",
    "hooks": [],
    "roles": ["sluice.handover/1"],
    "required": [
        "sluice.core/1", "sluice.http_client/1", "sluice.shared/1", "sluice.peers/1"
    ],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "upstreams": {
                "type": "object",
                "maxProperties": 256,
                "additionalProperties": { "$ref": "#/$defs/upstream" }
            },
            "resolvers": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": 3
            },
            "resolv_conf": {
                "type": "string", "minLength": 1, "default": "/etc/resolv.conf"
            },
            "timeout": { "type": "string", "format": "duration" },
            "attempts": { "type": "integer", "minimum": 1, "maximum": 5 },
            "start_timeout": { "type": "string", "format": "duration", "default": "3s" }
        },
        "$defs": {
            "upstream": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "dns": { "$ref": "#/$defs/dns" },
                    "file": {
                        "anyOf": [
                            { "type": "string", "minLength": 1 }, { "$ref": "#/$defs/file" }
                        ]
                    },
                    "consul": { "$ref": "#/$defs/consul" },
                    "retry": { "type": "string", "format": "duration" },
                    "retry_max": { "type": "string", "format": "duration" },
                    "jitter": { "type": "integer", "minimum": 0, "maximum": 100, "default": 10 },
                    "max_peers": {
                        "type": "integer", "minimum": 1, "maximum": 65535, "default": 1000
                    },
                    "on_empty": { "enum": ["keep", "clear"], "default": "keep" }
                }
            },
            "dns": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "minLength": 1 },
                    "type": { "enum": ["a", "aaaa", "any", "srv"], "default": "any" },
                    "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
                    "min_ttl": { "type": "string", "format": "duration" },
                    "max_ttl": { "type": "string", "format": "duration" },
                    "negative_ttl": { "type": "string", "format": "duration" }
                }
            },
            "file": {
                "type": "object",
                "additionalProperties": false,
                "required": ["path"],
                "properties": {
                    "path": { "type": "string", "minLength": 1 },
                    "interval": { "type": "string", "format": "duration", "default": "1s" }
                }
            },
            "consul": {
                "type": "object",
                "additionalProperties": false,
                "required": ["upstream", "service"],
                "properties": {
                    "upstream": { "type": "string", "minLength": 1 },
                    "service": { "type": "string", "minLength": 1 },
                    "tag": { "type": "string" },
                    "datacenter": { "type": "string" },
                    "token_file": { "type": "string", "minLength": 1 },
                    "zone_key": { "type": "string" },
                    "wait": { "type": "string", "format": "duration", "default": "50s" },
                    "min_interval": { "type": "string", "format": "duration", "default": "1s" }
                }
            }
        }
    }
});

/*
 * The keys that every balancer has, as the last members of its schema's `properties`: what
 * `CommonConfiguration` reads. docs/load-balancing.md says what they mean.
 *
 * `SLUICE_DESCRIPTOR` makes a string of what stands in it, names of macros included. `DESCRIPTOR`
 * is the step before, in which they are expanded. <stdbool.h> may not come before it: `true` would
 * become 1.
 */
#ifndef BALANCER_SCHEMA_H
#define BALANCER_SCHEMA_H

#include <sluice/descriptor.h>

#define DESCRIPTOR(...) SLUICE_DESCRIPTOR(__VA_ARGS__)

#define BALANCER_KEYS                                                                            \
    "candidates": { "type": "integer", "minimum": 1, "maximum": 8, "default": 3 },               \
    "slow_start": {                                                                              \
        "anyOf": [                                                                               \
            { "type": "string", "format": "duration" },                                          \
            {                                                                                    \
                "type": "object",                                                                \
                "additionalProperties": false,                                                   \
                "required": ["window"],                                                          \
                "properties": {                                                                  \
                    "window": { "type": "string", "format": "duration" },                        \
                    "aggression": {                                                              \
                        "type": "number", "minimum": 0.1, "maximum": 10, "default": 1            \
                    },                                                                           \
                    "min_weight": {                                                              \
                        "type": "integer", "minimum": 1, "maximum": 100, "default": 10           \
                    }                                                                            \
                }                                                                                \
            }                                                                                    \
        ]                                                                                        \
    },                                                                                           \
    "zone": {                                                                                    \
        "anyOf": [                                                                               \
            { "type": "string", "minLength": 1 },                                                \
            {                                                                                    \
                "type": "object",                                                                \
                "additionalProperties": false,                                                   \
                "required": ["own"],                                                             \
                "properties": {                                                                  \
                    "own": { "type": "string", "minLength": 1 },                                 \
                    "min_healthy": {                                                             \
                        "type": "integer", "minimum": 0, "maximum": 100, "default": 70           \
                    }                                                                            \
                }                                                                                \
            }                                                                                    \
        ]                                                                                        \
    },                                                                                           \
    "sticky": {                                                                                  \
        "type": "object",                                                                        \
        "additionalProperties": false,                                                           \
        "required": ["secrets"],                                                                 \
        "properties": {                                                                          \
            "cookie": { "type": "string", "default": "sluice_peer" },                            \
            "secrets": {                                                                         \
                "type": "array",                                                                 \
                "items": { "type": "string" },                                                   \
                "minItems": 1,                                                                   \
                "maxItems": 4                                                                    \
            },                                                                                   \
            "path": { "type": "string", "default": "/" },                                        \
            "domain": { "type": "string" },                                                      \
            "max_age": { "type": "string", "format": "duration" },                               \
            "secure": {                                                                          \
                "anyOf": [{ "type": "boolean" }, { "const": "auto" }],                           \
                "default": "auto"                                                                \
            },                                                                                   \
            "http_only": { "type": "boolean", "default": true },                                 \
            "same_site": {                                                                       \
                "enum": ["lax", "strict", "none", "omit"], "default": "lax"                      \
            },                                                                                   \
            "draining": { "type": "boolean", "default": true }                                   \
        }                                                                                        \
    }

#endif

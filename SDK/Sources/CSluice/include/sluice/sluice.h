/*
 * Everything that a plugin may use today. Include this one header.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include "version.h"
#include "types.h"
#include "headers.h"
#include "http.h"
#include "host.h"
#include "plugin.h"
#include "hello.h"
#include "ext/balancer.h"

#endif

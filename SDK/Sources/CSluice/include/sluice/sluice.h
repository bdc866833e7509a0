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
#include "body.h"
#include "http.h"
#include "host.h"
#include "request.h"
#include "plugin.h"
#include "hello.h"
#include "descriptor.h"
#include "ext/balancer.h"
#include "ext/cache.h"
#include "ext/handover.h"
#include "ext/http_client.h"
#include "ext/metrics.h"
#include "ext/peers.h"
#include "ext/shared.h"
#include "ext/thread_check.h"
#include "ext/waitset.h"

#endif

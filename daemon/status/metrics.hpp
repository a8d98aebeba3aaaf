// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "status/snapshot.hpp"

#include <string>

namespace things {

/// The snapshot as OpenMetrics text (openmetrics 1.0), prefix things_gateway_. Cardinality is bounded by the
/// configuration: labels are names of sources and devices and closed sets of words, never values or errors.
/// Built anew for each request. Ends with the mark "# EOF", as the format demands.
std::string open_metrics(const Snapshot& snapshot);

/// The content type of that text.
extern const char* const open_metrics_type;

} // namespace things

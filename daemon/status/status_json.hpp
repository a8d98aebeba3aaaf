// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/status.hpp"
#include "status/snapshot.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace things {

/// The document of GET /api/v1/status and `status --json`; etc/status.schema.json describes it. Times are
/// Unix milliseconds, 0 for never.
/// Pure, as the others here; built anew for each request.
std::string status_json(const Snapshot& snapshot);

/// The document of GET /api/v1/charts: {"charts":[{"key","unit","step_ms","values":[number or null]}]}.
std::string charts_json(const std::vector<ChartView>& charts);

/// The answer of the control verb `commands` and the member "commands" of the status: an array, in the order
/// given.
std::string commands_json(const std::vector<CommandView>& commands);

/// The answer of the control verb `queue show`: an array of the dead letters of one device, of all if
/// `dvnuuid` is empty.
std::string letters_json(const std::vector<DeadLetter>& letters, std::string_view dvnuuid);

/// Files that were set aside beside the queue: an array, as in the status.
std::string aside_json(const std::vector<FileAside>& files);

/// The answer of the control verb `queue adopt`.
std::string adopt_json(const AdoptResult& result);

} // namespace things

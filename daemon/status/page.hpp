// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace things {

/// One file of the page, compiled in from daemon/status/page/.
struct PageFile {
    std::string path; ///< as asked for
    std::string type;
    std::string_view body;
};

/// All of them; "/" is index.html.
/// The list and the bodies live as long as the process. Any thread.
const std::vector<PageFile>& page_files();

} // namespace things

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"

#include <optional>
#include <string>

namespace things {

struct Node;

/// A secret and where it came from, for `check --print`: "file PATH", "credential NAME", "env NAME", "text".
struct FoundSecret {
    std::string text; ///< wiped by the Secret that takes it; a plugin's Setting is not
    std::string origin;
};

/// Resolves {file: F}, {credential: C}, {env: E} or the text itself. Problems never show the text. A file
/// must be readable by its owner only; white space around its text is dropped.
/// Blocks for the disk. `what` is the key's name, for messages. A credential or variable that only the
/// service has gives the stand-in with a warning, if `is_service` is false.
std::optional<FoundSecret> read_secret(const Node& node, const std::string& what, const LoadOptions& options,
                                       Problems& problems);

/// What a device gets whose secret was not to be read or cannot be seen here; no real one looks so.
constexpr const char* stand_in_secret = "MASKEDMASKEDMASKEDMASKEDMASKED";

/// Whether KPN Things accepts it: ^[0-9a-zA-Z]{30,100}$. If not, `why` says it without showing it.
bool is_device_secret(const std::string& text, std::string& why);

/// The warning for a file that holds secrets as text and can be read by every user.
constexpr const char* open_secrets =
    "this file holds secrets and everybody on this machine can read it; run: "
    "chmod o= on it, or move them to files of their own";

/// Whether its group or others may do anything with the file; false also if it cannot be asked.
bool is_open_to_others(const std::filesystem::path& file);

/// Whether any user of this machine may read the file.
/// False also if it cannot be asked.
bool is_readable_by_all(const std::string& file);

} // namespace things

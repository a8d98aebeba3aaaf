// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

// The configuration that was last accepted, kept in the state directory: what a start falls back on when a
// power cut, a worn card or a slip of the pen has left a file behind that would not start. One document, with
// includes, profiles and tables resolved (print_config); secrets stand in it as the place they come from,
// never as themselves.
namespace things {

/// One main file's copy. Blocks for the disk; any thread.
/// After a crash or power cut there is the old copy or the new one, whole.
class LastGood {
public:
    /// Of `config`; in $STATE_DIRECTORY, else in the package's own.
    explicit LastGood(const std::filesystem::path& config);
    /// Where it lies, whether it is there or not.
    [[nodiscard]] const std::filesystem::path& file() const { return file_; }
    /// When it was written; none if it is not there.
    [[nodiscard]] std::optional<std::string> date() const;
    /// Replaces it, mode 0600, if `text` is another. Empty, or why that failed.
    [[nodiscard]] std::string keep(const std::string& text) const;

private:
    std::filesystem::path file_;
    mutable std::mutex writing_; // a start keeps its copy while a reload may keep the next one
};

} // namespace things

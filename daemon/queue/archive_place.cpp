// SPDX-License-Identifier: Apache-2.0
#include "queue/archive.hpp"

#include "platform/log.hpp"
#include "queue/rescue.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include <unistd.h>

// Files that somebody removed or replaced while they are in use.
namespace things {

namespace {

/// Puts a double of our own in the place of another user's file, which goes only when the double is on the
/// disk. False: it may not be read, or there is no room.
bool take_over(const std::string& path) {
    const std::string own = path + ".own";
    std::error_code error, ignored;
    if (!std::filesystem::exists(path, ignored))
        return true;
    std::filesystem::copy_file(path, own, std::filesystem::copy_options::overwrite_existing, error);
    bool is_taken = !error && sync_file(own);
    if (is_taken)
        std::filesystem::rename(own, path, error);
    is_taken = is_taken && !error;
    if (is_taken)
        sync_folder(path);
    else
        std::filesystem::remove(own, ignored);
    return is_taken;
}

} // namespace

std::string Archive::put_stranger_aside() {
    const std::string problem = place_problem(options_.path);
    if (problem.empty())
        return {};
    const std::string aside = put_aside(options_.path);
    std::string report;
    if (std::filesystem::is_regular_file(std::filesystem::symlink_status(aside)))
        try {
            report = "It could not be read or copied. For what is in it to be sent: stop the service, give "
                     "it to user " +
                     std::to_string(::geteuid()) + " (chown), move it back";
            if (take_over(aside) && take_over(aside + "-wal"))
                report = rescue(aside, options_.path, options_.vfs, counters_);
        } catch (const SqliteError& e) {
            report = fmt::format("Nothing could be rescued: {}", e.what());
        }
    log::error("queue {}: {}; it was put aside as {} and a new queue begun{}{}", options_.path, problem,
               aside, report.empty() ? "" : ". ", report);
    return report;
}

std::string Archive::write_anew() {
    const std::string copy = options_.path + ".copy";
    std::string aside;
    try {
        remove_copy();
        store_->copy_to(copy, options_.vfs, counters_);
        if (std::filesystem::exists(std::filesystem::symlink_status(options_.path)))
            aside = put_aside(options_.path);
        std::filesystem::remove(options_.path + "-wal"); // of a file that is gone
        std::filesystem::rename(copy, options_.path);
    } catch (...) {
        remove_copy();
        throw;
    }
    return aside;
}

/// What a power cut left of one.
void Archive::remove_copy() {
    std::error_code ignored;
    for (const char* end : {".copy", ".copy-journal"})
        std::filesystem::remove(options_.path + end, ignored);
}

std::optional<PlaceIdentity> Archive::stranger() const {
    std::optional<PlaceIdentity> now;
    if (options_.vfs.empty())
        now = identity_of(options_.path);
    const bool is_whole = now && now->file != FileIdentity{} && now->log != FileIdentity{};
    return now && (*now != place_ || !is_whole) ? now : std::nullopt;
}

void Archive::bring_back() {
    const std::optional<PlaceIdentity> other = stranger();
    if (!other)
        return;
    std::string aside;
    if (other->file == place_.file && other->file != FileIdentity{}) {
        store_->renew_log(); // which alone is gone
        note_log();
    } else {
        lock_.reset(); // its file may be gone too, and another gateway may have come in
        lock_ = std::make_unique<PlaceLock>(prepared(options_.path));
        aside = write_anew();
        store_.reset();
    }
    was_gone_ = true;
    sync_folder(options_.path);
    log::error("queue {} was removed or replaced while in use; all it held is in a new one{}", options_.path,
               aside.empty() ? "" : ", what stood there is kept as " + aside);
}

/// The file is known since it was opened: one that is gone by now must not be taken for how it should be.
void Archive::note_log() {
    if (const std::optional<PlaceIdentity> now = identity_of(options_.path); now && now->file == place_.file)
        place_.log = now->log;
}

} // namespace things

// SPDX-License-Identifier: Apache-2.0
#include "queue/archive.hpp"

#include "platform/log.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

// Files that somebody removed or replaced while they are in use.
namespace things {

namespace {

/// Puts a double of our own in the place of root's file, which goes only when the double is on the disk.
/// False: it may not be read, or there is no room.
bool take_over(const std::string& path) {
    const std::string own = path + ".own";
    std::error_code error, ignored;
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0 || file.st_uid == ::geteuid())
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

std::string cure_of(const std::string& file) {
    return fmt::format("chown {} {}; chmod 600 {}", ::geteuid(), file, file);
}

} // namespace

void Archive::enter_folder() {
    if (!options_.vfs.empty())
        return;
    const std::filesystem::path folder = std::filesystem::path(options_.path).parent_path();
    if (const std::string problem = trust_problem(folder.empty() ? "." : folder); !problem.empty())
        throw SqliteError(14, problem);
    if (!lock_)
        lock_ = std::make_unique<PlaceLock>(options_.path);
}

std::string Archive::clear_place() {
    if (!options_.vfs.empty())
        return {};
    std::string problem;
    for (const char* end : {"", "-wal"}) {
        const std::string file = options_.path + end;
        if (problem.empty())
            problem = place_problem(file);
        // An older version, or a command, ran as root.
        if (problem.empty() && !take_over(file))
            problem = fmt::format(
                "the file {} belongs to root and cannot be read, or there is no room to copy it", file);
    }
    if (problem.empty())
        return {};
    const std::string aside = put_aside(options_.path, Aside::other);
    std::string told = fmt::format("{}. It was put aside as {} and a new queue was begun", problem, aside);
    if (std::filesystem::is_regular_file(std::filesystem::symlink_status(aside)))
        told += fmt::format(
            ". If it is this gateway's own, `queue adopt {}` takes in what waits in it, once {} may be "
            "believed: {}",
            aside, aside, cure_of(aside));
    log::error("queue {}: {}", options_.path, told);
    return told;
}

ArchiveContent Archive::begin_beside_another() {
    store_.reset();
    const std::string aside = put_aside(options_.path, Aside::other);
    replaced_ = fmt::format("Another queue came into the queue's place; it is kept as {}", aside);
    log::error("queue {}: another queue came into its place; it is kept as {}, and taken in from there",
               options_.path, aside);
    store_ =
        std::make_unique<ArchiveStore>(options_.path, options_.vfs, counters_, options_.checkpoint_pages);
    return store_->load();
}

std::string Archive::write_anew() {
    const std::string copy = options_.path + ".copy";
    std::string aside;
    try {
        remove_copy();
        store_->copy_to(copy, options_.vfs, counters_);
        if (std::filesystem::exists(std::filesystem::symlink_status(options_.path)))
            aside = put_aside(options_.path, Aside::other);
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
        prepared(options_.path);
        enter_folder();
        aside = write_anew();
        sync_folder(options_.path);
        try {
            store_->hand_over();
        } catch (const SqliteError& e) {
            log::warning("queue {}: the file that was removed or hidden cannot be emptied: {}", options_.path,
                         e.what());
        }
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

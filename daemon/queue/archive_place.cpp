// SPDX-License-Identifier: Apache-2.0
#include "queue/archive.hpp"

#include "platform/log.hpp"

#include <filesystem>
#include <system_error>

// Files that somebody removed or replaced while they are in use.
namespace things {

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

// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "queue/bytes.hpp"

#include <utility>

// From memory to the hot log.
namespace things {

namespace {

constexpr std::uint64_t hot_file_size = 4U << 20;
constexpr std::uint64_t hot_total_size = 32U << 20;

} // namespace

void Queue::Impl::add_hot_catalogue() {
    if (hot_devices_ < catalogue_.devices().size() || hot_series_ < catalogue_.all_series().size()) {
        std::string payload;
        put_varint(payload, hot_devices_);
        put_varint(payload, hot_series_);
        payload += catalogue_.encode_from(hot_devices_, hot_series_);
        hot_->add(HotLog::Kind::catalogue, payload);
        hot_devices_ = catalogue_.devices().size();
        hot_series_ = catalogue_.all_series().size();
    }
}

void Queue::Impl::add_hot_appends(DeviceId id) {
    if (hot_->is_broken())
        return;
    add_hot_catalogue();
    std::deque<Chunk>& chunks = devices_[id].log.chunks();
    auto at = chunks.end();
    while (at != chunks.begin() && std::prev(at)->hot.index < std::prev(at)->end.index)
        --at;
    for (; at != chunks.end(); ++at) {
        const Block& block = at->block;
        std::string payload;
        payload.reserve(block.bytes.size() - at->hot.offset + 48);
        put_varint(payload, id);
        put_varint(payload, block.first);
        put_varint(payload, block.boot);
        put_varint(payload, at->hot.index);
        put_varint(payload, block.count);
        put_signed(payload, block.oldest);
        put_signed(payload, block.newest);
        put_text(payload, std::string_view(block.bytes).substr(at->hot.offset));
        hot_->add(HotLog::Kind::appended, payload);
        at->hot = at->end;
    }
}

void Queue::Impl::flush_hot() {
    hot_due_ms_ = 0;
    for (const DeviceId id : std::exchange(dirty_, {})) {
        devices_[id].is_dirty = false;
        add_hot_appends(id);
    }
    if (!hot_->is_broken() && !hot_->flush())
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
    if (hot_->size() > hot_file_size) {
        rotate_hot();
        if (hot_->total_size() > hot_total_size)
            start_commit();
    }
}

void Queue::Impl::rotate_hot() {
    HotFile& old = hot_files_.emplace_back();
    old.number = hot_->number();
    for (Device& device : devices_) {
        device.log.seal();
        old.next.push_back(device.log.next());
    }
    begin_hot(old.number + 1);
    remove_hot_files();
}

bool Queue::Impl::begin_hot(std::uint64_t number) {
    // At the start the files of before are still there.
    const bool was_broken = hot_->is_broken() && hot_->number() != 0;
    hot_devices_ = catalogue_.devices().size();
    hot_series_ = catalogue_.all_series().size();
    if (!hot_->begin(number, encode(snapshot(number)), catalogue_.encode_from(0, 0))) {
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
        return false;
    }
    clear_alarm("hot");
    return !was_broken || repeat_in_hot(); // what was appended meanwhile is in no file yet
}

/// Writes all readings that are not on flash into the present file: then it needs none of those before it.
bool Queue::Impl::repeat_in_hot() {
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        for (Chunk& chunk : devices_[id].log.chunks())
            chunk.hot = chunk.is_stored() ? chunk.end : BlockPosition{};
        add_hot_appends(id);
    }
    if (!hot_->flush())
        return false;
    for (HotFile& file : hot_files_)
        file.next.clear();
    return true;
}

void Queue::Impl::remove_hot_files() {
    if (!unsaved_dead_.empty() || !unsaved_dead_gone_.empty() || !unsaved_commands_.empty() ||
        !progress_.dead.empty() || !progress_.dead_gone.empty() || !progress_.commands.empty())
        return;
    while (!hot_files_.empty()) {
        const HotFile& file = hot_files_.front();
        for (std::size_t id = 0; id < file.next.size(); ++id)
            if (devices_[id].log.base_from(devices_[id].log.safe_to()) < file.next[id])
                return;
        hot_->remove_below(file.number + 1);
        hot_files_.pop_front();
    }
}

} // namespace things

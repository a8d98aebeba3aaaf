// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/bytes.hpp"
#include "queue/command_record.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

// Dead letters and commands: what is kept beside the readings.
namespace things {

namespace {

constexpr std::size_t commands_in_memory = 1000;

} // namespace

// --- Dead letters

void Queue::Impl::bury(const Batch& batch, std::size_t index, const std::string& reason) {
    Device& device = devices_[batch.device];
    const std::uint64_t number = batch.sequence[index];
    note_change(batch.device, {number, number + 1});
    add_hot_appends(batch.device);
    const std::int64_t before = device.log.memory();
    const std::uint64_t n = device.log.end_flight({number, number + 1}, true);
    memory_ += device.log.memory() - before;
    if (n == 0)
        return;
    StoredLetter letter;
    letter.id = next_dead_++;
    letter.device = batch.device;
    letter.reading = batch.readings[index];
    letter.reason = reason;
    letter.wall_ms = clock_.wall_ms();
    ++books_.dead;
    unsaved_dead_.insert(letter.id);
    if (!hot_->is_broken()) {
        std::string payload;
        put_varint(payload, number);
        payload += encode(letter);
        hot_->add(HotLog::Kind::dead, payload);
        if (!hot_->flush())
            set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
    }
    const Series& series = catalogue_.all_series()[letter.reading.series];
    log::warning("queue: a reading of {} of device {} was set aside: {}", series.name,
                 catalogue_.devices()[batch.device], reason);
    dead_.emplace(letter.id, std::move(letter));
    while (dead_.size() > options_.dead_limit)
        end_dead({dead_.begin()->first}, DropReason::dead_full);
}

/// Takes letters off the list, for a reason or (none) because their readings came back, as given by `frames`.
void Queue::Impl::end_dead(const std::vector<std::uint64_t>& ids, std::optional<DropReason> reason,
                           const std::string& frames) {
    std::string payload;
    payload.push_back(static_cast<char>(reason ? 1 + static_cast<int>(*reason) : 0));
    put_varint(payload, ids.size());
    for (const std::uint64_t id : ids) {
        put_varint(payload, id);
        dead_.erase(id);
        unsaved_dead_.erase(id);
        unsaved_dead_gone_.insert(id);
        --books_.dead;
        if (reason)
            books_.drop(*reason, 1);
    }
    any_change_ = true;
    if (hot_->is_broken())
        return;
    hot_->add(HotLog::Kind::dead_gone, payload + frames);
    if (!hot_->flush())
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
}

std::vector<DeadLetter> Queue::Impl::dead_letters() const {
    std::vector<DeadLetter> out;
    for (const auto& [id, letter] : dead_) {
        const Series& series = catalogue_.all_series()[letter.reading.series];
        out.push_back({id, catalogue_.devices()[letter.device], series.name, series.unit, letter.reading,
                       letter.reason, letter.wall_ms});
    }
    return out;
}

std::size_t Queue::Impl::remove_dead(const std::vector<std::uint64_t>& ids, bool retry) {
    std::vector<std::uint64_t> found;
    for (const std::uint64_t id : ids)
        if (dead_.count(id) > 0 && std::find(found.begin(), found.end(), id) == found.end())
            found.push_back(id);
    if (found.empty())
        return 0;
    if (!retry) {
        end_dead(found, DropReason::removed);
        return found.size();
    }
    flush_hot();
    std::string frames;
    std::vector<DeviceId> touched;
    for (const std::uint64_t id : found) {
        const StoredLetter& letter = dead_.at(id);
        DeviceLog& log = devices_[letter.device].log;
        const std::int64_t before = log.memory();
        log.seal();
        log.append(letter.reading, 0, clock_.boot_ms(), false);
        log.seal();
        Chunk& chunk = log.chunks().back();
        chunk.hot = chunk.end; // its bytes are in the record of this change
        put_frame(frames, letter.device, chunk.block);
        memory_ += log.memory() - before;
        touched.push_back(letter.device);
    }
    end_dead(found, std::nullopt, frames);
    for (const DeviceId id : touched)
        if (on_available_)
            on_available_(id);
    return found.size();
}

// --- Commands

void Queue::Impl::store(std::vector<Command> commands,
                        std::function<void(std::vector<Command>, bool)> handler) {
    for (Command& c : commands) {
        c.id = next_command_++;
        unsaved_commands_.insert(c.id);
        commands_.insert_or_assign(c.id, c);
        Command fresh = c; // if flash does not get it, it has not begun
        if (!is_ended(fresh.state))
            fresh.state = CommandState::waiting;
        hot_->add(HotLog::Kind::command, encode(fresh));
    }
    // The oldest ended ones go from memory; they stay on flash.
    for (auto at = commands_.begin(); at != commands_.end() && commands_.size() > commands_in_memory;)
        at = is_ended(at->second.state) && unsaved_commands_.count(at->first) == 0 ? commands_.erase(at)
                                                                                   : std::next(at);
    waiters_.push_back(
        [commands = std::move(commands), handler = std::move(handler)](bool ok) { handler(commands, ok); });
    // The readings they came with are settled later in this turn of the loop: one transaction takes both.
    boost::asio::post(loop_, [this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired() && !waiters_.empty())
            start_commit();
    });
}

void Queue::Impl::update(const Command& command, std::function<void(bool)> handler) {
    unsaved_commands_.insert(command.id);
    commands_.insert_or_assign(command.id, command);
    commit(std::move(handler));
}

std::vector<Command> Queue::Impl::unfinished() const {
    std::vector<Command> out;
    for (const auto& [id, c] : commands_)
        if (!is_ended(c.state))
            out.push_back(c);
    return out;
}

std::vector<Command> Queue::Impl::recent(const std::string& dvnuuid, std::size_t most) const {
    std::vector<Command> out;
    for (auto at = commands_.rbegin(); at != commands_.rend() && out.size() < most; ++at)
        if (is_ended(at->second.state) && at->second.dvnuuid == dvnuuid &&
            at->second.origin == platform_origin)
            out.push_back(at->second);
    return out;
}

std::vector<Command> Queue::Impl::audit(const std::string& device, std::size_t most) const {
    std::vector<Command> out;
    for (auto at = commands_.rbegin(); at != commands_.rend() && out.size() < most; ++at)
        if (device.empty() || at->second.device == device || at->second.dvnuuid == device)
            out.push_back(at->second);
    return out;
}

} // namespace things

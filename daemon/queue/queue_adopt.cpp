// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

// Other queues' files: what was set aside, a backup, another machine's.
namespace things {

namespace {

constexpr std::size_t queues_remembered = 64;
constexpr std::int64_t try_again_ms = 600'000; // after a file could not be taken in
constexpr std::int64_t day_ms = 86'400'000;

} // namespace

// --- How far other queues are known

std::optional<DonorMark> Queue::Impl::known(std::uint64_t identity) const {
    DonorMark mark;
    const auto at = std::find_if(adopted_.begin(), adopted_.end(),
                                 [identity](const AdoptedQueue& q) { return q.identity == identity; });
    if (at != adopted_.end()) {
        for (const auto& [device, next] : at->next)
            if (device < catalogue_.devices().size())
                mark.next[catalogue_.devices()[device]] = next;
        mark.next_dead = at->next_dead;
    }
    if (identity == identity_) { // a double of this queue, older or from another place
        for (DeviceId id = 0; id < devices_.size(); ++id) {
            std::uint64_t& next = mark.next[catalogue_.devices()[id]];
            next = std::max(next, devices_[id].log.next());
        }
        mark.next_dead = std::max(mark.next_dead, next_dead_);
    }
    return at == adopted_.end() && identity != identity_ ? std::nullopt : std::optional(mark);
}

AdoptedQueue& Queue::Impl::mark_of(std::uint64_t identity) {
    const auto at = std::find_if(adopted_.begin(), adopted_.end(),
                                 [identity](const AdoptedQueue& q) { return q.identity == identity; });
    if (at != adopted_.end()) {
        std::rotate(at, at + 1, adopted_.end());
    } else {
        if (adopted_.size() >= queues_remembered)
            adopted_.erase(adopted_.begin());
        adopted_.emplace_back().identity = identity;
    }
    return adopted_.back();
}

void Queue::Impl::inherit(const DonorReport& report) {
    for (const auto& [identity, other] : report.adopted) {
        if (identity == identity_)
            continue;
        AdoptedQueue& mark = mark_of(identity);
        mark.next_dead = std::max(mark.next_dead, other.next_dead);
        for (const auto& [dvnuuid, next] : other.next)
            raise_mark(mark, add_device(dvnuuid), next);
    }
}

// --- Taking in

Adoption::Ports Queue::Impl::adoption_ports() {
    return {[this](std::uint64_t identity) { return known(identity); },
            [this](const DonorReport& report) { inherit(report); },
            [this](std::uint64_t identity, const DonorPiece& piece, AdoptResult& result) {
                return take_in(identity, piece, result);
            },
            [this](std::function<void(bool)> handler) {
                commit(std::move(handler));
            }};
}

std::uint32_t Queue::Impl::add_boot(const Boot& boot) {
    const auto at =
        std::find_if(boots_.begin(), boots_.end(), [&boot](const Boot& b) { return b.id == boot.id; });
    if (at != boots_.end())
        return at->number;
    Boot added = boot;
    added.number = 0;
    for (const Boot& b : boots_)
        added.number = std::max(added.number, b.number);
    ++added.number;
    added.is_used = true;
    boots_.insert(std::prev(boots_.end()), added); // the present one stays last
    return added.number;
}

std::optional<Reading> Queue::Impl::dated(const DonorPiece::Item& item, std::uint32_t& boot,
                                          AdoptResult& result) {
    Reading reading = item.reading;
    boot = 0;
    if (!item.boot)
        return reading;
    const auto here =
        std::find_if(boots_.begin(), boots_.end(), [&item](const Boot& b) { return b.id == item.boot->id; });
    // Of a boot that is known here too: as if it had been read here.
    if (here != boots_.end() && here->clock != Boot::Clock::unknown) {
        reading.stamp = {reading.stamp.ms + here->offset_ms, Stamp::Clock::wall};
    } else if (here != boots_.end()) {
        here->is_used = true;
        boot = here->number;
    } else if (options_.time.unsynced == Unsynced::drop) {
        ++result.unsynced;
        return std::nullopt;
    } else if (options_.time.unsynced == Unsynced::hold) {
        boot = add_boot(*item.boot);
    } else {
        ++result.estimated;
        reading.stamp = {reading.stamp.ms + item.boot->offset_ms, Stamp::Clock::wall};
    }
    return reading;
}

bool Queue::Impl::take_in(std::uint64_t identity, const DonorPiece& piece, AdoptResult& result) {
    if (memory_ > options_.memory_limit)
        return false;
    const AdoptResult before = result;
    flush_hot(); // what was appended before stands in the hot log before it
    AdoptedQueue& mark = mark_of(identity);
    std::string frames;
    std::optional<DeviceId> id;
    if (!piece.dvnuuid.empty()) {
        id = add_device(piece.dvnuuid);
        frames = take_in_readings(*id, piece, result);
        raise_mark(mark, *id, piece.next);
    }
    const std::string letters = take_in_letters(piece.letters, mark);
    const std::uint64_t unsynced = result.unsynced - before.unsynced;
    const std::uint64_t estimated = result.estimated - before.estimated;
    result.letters += piece.letters.size();
    books_.adopted += result.readings - before.readings + unsynced + piece.letters.size();
    books_.dead += piece.letters.size();
    books_.estimated += estimated;
    books_.drop(DropReason::unsynced, unsynced);
    any_change_ = true;
    is_adopted_unsafe_ = true;
    if (!hot_->is_broken()) {
        add_hot_catalogue();
        std::string payload;
        put_fixed(payload, identity);
        put_varint(payload, id ? *id + std::uint64_t{1} : 0);
        put_varint(payload, piece.next);
        put_varint(payload, mark.next_dead);
        put_varint(payload, unsynced);
        put_varint(payload, estimated);
        put_varint(payload, piece.letters.size());
        hot_->add(HotLog::Kind::adopted, payload + letters + frames);
        if (!hot_->flush())
            set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
    }
    while (dead_.size() > options_.dead_limit)
        end_dead({dead_.begin()->first}, DropReason::dead_full);
    if (id && on_available_)
        on_available_(*id);
    return true;
}

std::string Queue::Impl::take_in_readings(DeviceId id, const DonorPiece& piece, AdoptResult& result) {
    std::vector<std::pair<Reading, std::uint32_t>> readings;
    const std::size_t boots = boots_.size();
    for (const DonorPiece::Item& item : piece.items) {
        std::uint32_t boot = 0;
        std::optional<Reading> reading = dated(item, boot, result);
        if (!reading)
            continue;
        reading->series = add_series(id, item.name, item.unit);
        readings.emplace_back(std::move(*reading), boot);
    }
    if (boots_.size() > boots)
        rotate_hot(); // only a state tells of boots
    DeviceLog& log = devices_[id].log;
    const std::int64_t memory = log.memory();
    const std::uint64_t first = log.next();
    log.seal();
    // With the times that they have: a stamp that is moved to be one of its own is for what is read here.
    for (const auto& [reading, boot] : readings)
        log.append(reading, boot, clock_.boot_ms(), false);
    log.seal();
    log.end_live();
    std::string frames;
    for (Chunk& chunk : log.chunks())
        if (chunk.block.first >= first) {
            chunk.hot = chunk.end; // its bytes are in the record of this piece
            put_frame(frames, id, chunk.block);
        }
    memory_ += log.memory() - memory;
    result.readings += readings.size();
    result.lost += piece.lost;
    if (!readings.empty())
        result.devices[piece.dvnuuid] += readings.size();
    return frames;
}

std::string Queue::Impl::take_in_letters(const std::vector<DonorPiece::Letter>& letters, AdoptedQueue& mark) {
    std::string record;
    for (const DonorPiece::Letter& from : letters) {
        StoredLetter letter = from.letter;
        mark.next_dead = std::max(mark.next_dead, letter.id + 1);
        letter.id = next_dead_++;
        letter.device = add_device(from.dvnuuid);
        letter.reading.series = add_series(letter.device, from.name, from.unit);
        put_text(record, encode(letter));
        unsaved_dead_.insert(letter.id);
        dead_.emplace(letter.id, std::move(letter));
    }
    return record;
}

// --- What was set aside

void Queue::Impl::look_aside(bool takes_in, std::function<void()> handler) {
    is_aside_due_ = false;
    aside_due_ms_ = 0;
    archive_->inspect([this, takes_in, handler = std::move(handler)](std::vector<DonorReport> reports) {
        aside_ = std::move(reports);
        if (takes_in)
            take_in_aside();
        if (!adoption_->is_running()) // else its end brings another look
            tell_aside();
        if (handler)
            handler();
    });
}

void Queue::Impl::take_in_aside() {
    for (const DonorReport& report : aside_) {
        const DonorMark mark = known(report.identity).value_or(DonorMark{});
        const bool came_by_itself = report.file.find(".aside-") != std::string::npos;
        if (!came_by_itself || !report.problem.empty() ||
            report.fresh(mark) + report.fresh_letters(mark) == 0)
            continue;
        adoption_->start(report.file, false, true, [this](const AdoptResult& result) {
            if (result.problem.empty() || result.is_known)
                is_aside_due_ = true;
            else
                aside_due_ms_ = clock_.boot_ms() + try_again_ms;
            tell_aside();
        });
    }
}

std::vector<FileAside> Queue::Impl::aside() const {
    std::vector<FileAside> files;
    for (const DonorReport& report : aside_) {
        FileAside& file = files.emplace_back();
        file.file = report.file;
        file.problem = report.problem;
        const DonorMark mark = known(report.identity).value_or(DonorMark{});
        for (const auto& [dvnuuid, spans] : report.waiting)
            if (const std::uint64_t count = report.fresh(mark, dvnuuid); count > 0)
                file.devices[dvnuuid] = count;
        file.readings = report.fresh(mark);
        file.letters = report.fresh_letters(mark);
        file.commands = report.unfinished.size();
    }
    return files;
}

void Queue::Impl::tell_aside() {
    std::uint64_t readings = 0;
    std::string names;
    for (const FileAside& file : aside()) {
        if (file.readings + file.letters == 0)
            continue;
        readings += file.readings + file.letters;
        names += (names.empty() ? "" : ", ") + file.file;
    }
    if (readings == 0)
        return clear_alarm("aside");
    set_alarm("aside",
              fmt::format("{} readings lie in files that were set aside ({}) and are not in this queue; "
                          "`kpn-things-gateway queue list` tells of them, `queue adopt FILE` takes them in",
                          readings, names));
}

// --- The machine

void Queue::Impl::recognise_machine() {
    if (options_.machine.empty())
        return;
    if (is_other_machine(machine_, options_.machine)) {
        std::random_device random;
        identity_ = (std::uint64_t{random()} << 32 | random()) | 1;
        moved_ms_ = saved_wall_ms_;
        is_move_dated_ = false;
    }
    if (!is_move_dated_ || (moved_ms_ != 0 && saved_wall_ms_ - moved_ms_ < day_ms))
        tell_for_a_day(
            "machine",
            "This queue was last used on another machine. If its card was copied, two gateways have one "
            "identity: what waits is sent by both, and a command reaches the one that happens to ask. "
            "Where the first one is out of use all is well; else stop this one, remove its queue (" +
                options_.config.path.string() +
                "), and give it devices of its own (kpn-things-gateway provision)");
    MachineMark present = options_.machine;
    if (present.board == 0)
        present.board = machine_.board;
    if (present.id == 0)
        present.id = machine_.id;
    if (present.nics.empty())
        present.nics = machine_.nics;
    // A new queue has no mark to correct: it gets its first with whatever is committed first.
    const bool is_new = machine_ == MachineMark();
    flash_changed_ = flash_changed_ || (!is_new && present != machine_) || !is_move_dated_;
    machine_ = std::move(present);
}

} // namespace things

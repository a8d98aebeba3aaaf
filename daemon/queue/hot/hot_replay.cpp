// SPDX-License-Identifier: Apache-2.0
#include "queue/hot/hot_replay.hpp"

#include "queue/bytes.hpp"
#include "queue/command_record.hpp"
#include "queue/flash/place.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace things {

HotReplay::HotReplay(const std::optional<QueueState>& known, Catalogue names,
                     std::vector<StoredLetter> letters)
    : catalogue(std::move(names)), is_bound_(known.has_value()) {
    for (StoredLetter& l : letters) {
        const std::uint64_t id = l.id;
        dead.emplace(id, std::move(l));
    }
    if (known)
        apply_state(*known);
}

bool HotReplay::run(const std::filesystem::path& directory, std::uint64_t avoid) {
    bool all_ours = true;
    const std::uint64_t from = state.hot_number;
    refused = trust_problem(directory);
    if (!refused.empty())
        return true;
    for (const std::uint64_t number : HotLog::files(directory)) {
        if (const std::string problem = place_problem(HotLog::path(directory, number)); !problem.empty()) {
            refused = problem;
            continue;
        }
        std::ifstream in(HotLog::path(directory, number), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        all_ours = file(bytes, avoid, number < from) && all_ours;
    }
    return all_ours;
}

bool HotReplay::file(std::string_view bytes, std::uint64_t avoid, bool is_old) {
    std::size_t good = 0;
    const std::vector<HotRecord> records = parse_hot(bytes, good);
    cut_bytes += bytes.size() - good;
    if (records.empty() || records[0].kind != HotLog::Kind::state)
        return true;
    const std::optional<QueueState> fresh = decode_state(records[0].payload);
    if (!fresh || fresh->queue_id == avoid)
        return true;
    if (is_bound_ && fresh->queue_id != state.queue_id)
        return false;
    if (is_old)
        return true;
    is_bound_ = true;
    for (const HotRecord& r : records)
        apply(r);
    return true;
}

void HotReplay::apply(const HotRecord& record) {
    switch (record.kind) {
    case HotLog::Kind::state:
        if (std::optional<QueueState> fresh = decode_state(record.payload))
            apply_state(std::move(*fresh));
        break;
    case HotLog::Kind::catalogue: {
        ByteReader in(record.payload);
        const std::uint64_t device = in.varint();
        const std::uint64_t series = in.varint();
        (void)catalogue.decode_from(record.payload.substr(in.position()), device, series);
        break;
    }
    case HotLog::Kind::appended:
        apply_appended(record.payload);
        break;
    case HotLog::Kind::ended:
        apply_ended(record.payload);
        break;
    case HotLog::Kind::dead:
        apply_dead(record.payload);
        break;
    case HotLog::Kind::dead_gone:
        apply_gone(record.payload);
        break;
    case HotLog::Kind::adopted:
        apply_adopted(record.payload);
        break;
    case HotLog::Kind::command:
        if (std::optional<Command> command = decode_command(record.payload))
            commands.push_back(std::move(*command));
        break;
    }
}

void HotReplay::apply_state(QueueState fresh) {
    for (auto& [id, device] : devices) {
        device.outstanding.clear();
        device.held.clear();
    }
    for (const DeviceState& d : fresh.devices) {
        Device& device = devices[d.device];
        device.next = d.next;
        // The archive knows of blocks that a file has not heard of: those that a rescue made.
        device.blocks = hull(device.blocks, d.blocks);
        device.held = d.held;
        for (const Span& s : d.outstanding)
            device.outstanding.add(s);
    }
    fresh.devices.clear();
    state = std::move(fresh);
}

bool HotReplay::is_held(std::uint32_t boot) const {
    return std::any_of(state.boots.begin(), state.boots.end(),
                       [boot](const Boot& b) { return b.number == boot && b.clock == Boot::Clock::unknown; });
}

/// Numbers below `next` the state has told of: their record only says where the readings are (HotLog files
/// begun after a failure repeat what is not on flash), and some of them may have been settled before it.
std::uint64_t HotReplay::appended(DeviceId id, Span span, std::uint32_t boot) {
    Device& device = devices[id];
    span.first = std::max(span.first, device.next);
    if (span.first >= span.last)
        return 0;
    device.next = span.last;
    device.outstanding.add(span);
    if (boot == 0 || !is_held(boot))
        return span.size();
    for (Boot& b : state.boots)
        b.is_used = b.is_used || b.number == boot;
    if (!device.held.empty() && device.held.back().boot == boot && device.held.back().span.last == span.first)
        device.held.back().span.last = span.last;
    else
        device.held.push_back({boot, span});
    return span.size();
}

void HotReplay::apply_appended(std::string_view payload) {
    ByteReader in(payload);
    const auto id = static_cast<DeviceId>(in.varint());
    Block fresh;
    fresh.first = in.varint();
    fresh.boot = static_cast<std::uint32_t>(in.varint());
    const std::uint64_t before = in.varint();
    const std::uint64_t now = in.varint();
    fresh.count = static_cast<std::uint32_t>(now);
    fresh.oldest = in.signed_varint();
    fresh.newest = in.signed_varint();
    fresh.bytes = std::string(in.text());
    if (!in.is_good() || now <= before)
        return;
    std::vector<Block>& found = devices[id].found;
    const Span span{fresh.first + before, fresh.first + now};
    const std::uint32_t boot = fresh.boot;
    if (before == 0) {
        found.push_back(std::move(fresh));
    } else {
        const auto old = std::find_if(found.rbegin(), found.rend(), [&](const Block& b) {
            return b.first == fresh.first && b.count == before;
        });
        if (old == found.rend())
            return;
        old->bytes += fresh.bytes;
        old->count = fresh.count;
        old->oldest = fresh.oldest;
        old->newest = fresh.newest;
    }
    state.books.read += appended(id, span, boot);
}

void HotReplay::apply_ended(std::string_view payload) {
    ByteReader in(payload);
    Device& device = devices[static_cast<DeviceId>(in.varint())];
    const std::uint8_t how = in.byte();
    const std::uint64_t spans = in.varint();
    for (std::uint64_t i = 0; i < spans && in.is_good(); ++i) {
        const std::uint64_t first = in.varint();
        const std::uint64_t count = device.outstanding.remove({first, first + in.varint()});
        if (how == 0)
            state.books.accepted += count;
        else if (how <= drop_reasons)
            state.books.dropped[how - 1U] += count;
    }
}

void HotReplay::apply_dead(std::string_view payload) {
    ByteReader in(payload);
    const std::uint64_t number = in.varint();
    const std::optional<StoredLetter> letter = decode_letter(payload.substr(in.position()));
    if (!letter || devices[letter->device].outstanding.remove({number, number + 1}) == 0)
        return;
    ++state.books.dead;
    state.next_dead = std::max(state.next_dead, letter->id + 1);
    dead.insert_or_assign(letter->id, *letter);
}

void HotReplay::apply_gone(std::string_view payload) {
    ByteReader in(payload);
    const std::uint8_t how = in.byte(); // 0 retried, else 1 + drop reason
    const std::uint64_t count = in.varint();
    for (std::uint64_t i = 0; i < count && in.is_good(); ++i) {
        const std::uint64_t id = in.varint();
        if (dead.erase(id) == 0)
            continue;
        dead_gone.push_back(id);
        --state.books.dead;
        if (how > 0 && how <= drop_reasons)
            ++state.books.dropped[how - 1U];
    }
    (void)apply_frames(payload.substr(in.position()));
}

std::uint64_t HotReplay::apply_frames(std::string_view bytes) {
    std::uint64_t count = 0;
    const std::optional<std::vector<Frame>> frames = parse_frames(bytes);
    for (const Frame& f : frames ? *frames : std::vector<Frame>()) {
        devices[f.device].found.push_back(f.block);
        count += appended(f.device, {f.block.first, f.block.last()}, f.block.boot);
    }
    return count;
}

void HotReplay::apply_adopted(std::string_view payload) {
    ByteReader in(payload);
    const auto identity = in.fixed<std::uint64_t>();
    const std::uint64_t device = in.varint(), next = in.varint(), next_dead = in.varint();
    const std::uint64_t unsynced = in.varint(), estimated = in.varint(), letters = in.varint();
    if (!in.is_good())
        return;
    auto mark = std::find_if(state.adopted.begin(), state.adopted.end(),
                             [identity](const AdoptedQueue& q) { return q.identity == identity; });
    if (mark == state.adopted.end())
        mark = state.adopted.insert(state.adopted.end(), AdoptedQueue{identity, 0, {}});
    mark->next_dead = std::max(mark->next_dead, next_dead);
    if (device > 0)
        raise_mark(*mark, static_cast<DeviceId>(device - 1), next);
    state.books.adopted += unsynced;
    state.books.drop(DropReason::unsynced, unsynced);
    state.books.estimated += estimated;
    for (std::uint64_t i = 0; i < letters && in.is_good(); ++i)
        if (std::optional<StoredLetter> letter = decode_letter(in.text())) {
            ++state.books.adopted;
            ++state.books.dead;
            state.next_dead = std::max(state.next_dead, letter->id + 1);
            const std::uint64_t id = letter->id;
            dead.insert_or_assign(id, std::move(*letter));
        }
    state.books.adopted += apply_frames(payload.substr(in.position()));
}

} // namespace things

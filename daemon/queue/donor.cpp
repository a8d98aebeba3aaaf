// SPDX-License-Identifier: Apache-2.0
#include "queue/donor.hpp"

#include "queue/flash/place.hpp"
#include "queue/flash/rescue.hpp"
#include "queue/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace things {

namespace {

/// All letters of a queue are one piece: they are a thousand at most.
constexpr std::size_t blocks_at_once = 4096;

DonorMark mark_of(const QueueState& state, const Catalogue& names) {
    DonorMark mark;
    mark.next_dead = state.next_dead;
    for (const DeviceState& device : state.devices)
        if (device.device < names.devices().size())
            mark.next[names.devices()[device.device]] = device.next;
    return mark;
}

} // namespace

std::uint64_t DonorReport::fresh(const DonorMark& known, const std::string& dvnuuid) const {
    std::uint64_t count = 0;
    const auto at = waiting.find(dvnuuid);
    for (const Span& span : at == waiting.end() ? std::vector<Span>() : at->second)
        count += span.last - std::min(span.last, std::max(span.first, known.of(dvnuuid)));
    return count;
}

std::uint64_t DonorReport::fresh(const DonorMark& known) const {
    std::uint64_t count = 0;
    for (const auto& [dvnuuid, spans] : waiting)
        count += fresh(known, dvnuuid);
    return count;
}

std::uint64_t DonorReport::fresh_letters(const DonorMark& known) const {
    return static_cast<std::uint64_t>(std::count_if(
        letters.begin(), letters.end(), [&known](std::uint64_t id) { return id >= known.next_dead; }));
}

Donor::Donor(std::string file, std::string own, Damaged damaged) : own_(std::move(own)) {
    report_.file = std::move(file);
    try {
        open(damaged);
    } catch (const std::exception& e) {
        store_.reset();
        report_.problem = e.what();
    }
}

Donor::~Donor() {
    store_.reset();
    remove_copies();
}

void Donor::remove_copies() {
    std::error_code ignored;
    for (const char* copy : {".adopt", ".adopt.rescued", ".adopt.rescued.rescue"})
        for (const char* end : {"", "-wal", "-journal"})
            std::filesystem::remove(own_ + copy + end, ignored);
}

void Donor::open(Damaged damaged) {
    const std::string& file = report_.file;
    std::error_code error;
    const auto kind = std::filesystem::status(file, error);
    if (!std::filesystem::is_regular_file(kind)) {
        const bool is_absent = kind.type() == std::filesystem::file_type::not_found;
        report_.problem = is_absent ? "there is no such file" : error ? error.message() : "it is not a file";
        return;
    }
    const std::optional<PlaceIdentity> here = identity_of(own_), there = identity_of(file);
    if (here && there && here->file == there->file && here->file != FileIdentity{}) {
        report_.problem = "it is this gateway's own queue";
        return;
    }
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (!error && size == 0) {
        report_.problem = "it is empty";
        return;
    }
    const bool is_beside = file.starts_with(own_ + ".");
    if (is_beside)
        report_.problem = place_problem(file);
    if (!report_.problem.empty())
        return;
    const PlaceLock lock(file, PlaceLock::Kind::if_there);
    const std::string path = is_beside ? file : copied();
    try {
        load(path);
    } catch (const SqliteError& e) {
        if (e.fault() != SqliteFault::damaged && e.fault() != SqliteFault::other)
            throw;
        store_.reset();
        open_damaged(path, e.what(), damaged);
    }
}

std::string Donor::copied() {
    remove_copies();
    std::string copy = own_ + ".adopt";
    std::error_code error, ignored;
    for (const char* end : {"", "-wal"}) {
        if (*end != 0 && !std::filesystem::exists(report_.file + end, ignored))
            continue;
        std::filesystem::copy_file(report_.file + end, copy + end, error);
        if (error)
            throw std::system_error(error,
                                    fmt::format("cannot copy {}{} to {}{}", report_.file, end, copy, end));
    }
    return copy;
}

void Donor::load(const std::string& path) {
    store_ = std::make_unique<ArchiveStore>(path, "", unused_);
    ArchiveContent content = store_->load();
    catalogue_ = std::move(content.catalogue);
    state_ = content.state.value_or(QueueState{});
    dead_ = std::move(content.dead);
    for (const Command& command : content.commands)
        if (!is_ended(command.state))
            report_.unfinished.push_back(command);
    for (const DeviceState& device : state_.devices) {
        if (device.device >= catalogue_.devices().size())
            continue;
        logs_[device.device].restore(device.next, device.outstanding, {});
        if (!device.outstanding.empty())
            report_.waiting[catalogue_.devices()[device.device]] = device.outstanding;
    }
    for (const auto& [number, frames] : content.segments)
        for (const Frame& frame : frames)
            if (const auto log = logs_.find(frame.device); log != logs_.end())
                (void)log->second.insert(frame.block, false, number);
    for (const StoredLetter& letter : dead_)
        report_.letters.push_back(letter.id);
    report_.identity = state_.known_as();
    report_.next = mark_of(state_, catalogue_);
    for (const AdoptedQueue& queue : state_.adopted) {
        DonorMark& mark = report_.adopted[queue.identity];
        mark.next_dead = queue.next_dead;
        for (const auto& [device, next] : queue.next)
            if (device < catalogue_.devices().size())
                mark.next[catalogue_.devices()[device]] = next;
    }
}

void Donor::open_damaged(const std::string& path, const std::string& why, Damaged damaged) {
    report_.is_damaged = true;
    report_.problem = fmt::format("it is damaged ({})", why);
    if (damaged == Damaged::leave) {
        report_.problem += "; `queue adopt` says what can be rescued from it";
        return;
    }
    const std::string rescued = own_ + ".adopt.rescued";
    const std::string told = things::rescue(path, rescued, "", unused_);
    load(rescued);
    if (report_.waiting.empty() && report_.letters.empty()) {
        report_.problem = fmt::format("nothing in it can be read as a queue ({})", why);
        return;
    }
    report_.rescue = told;
    if (damaged == Damaged::rescue)
        report_.problem.clear();
}

std::optional<DonorPiece> Donor::read(const DonorMark& known, std::size_t most) {
    for (auto& [id, log] : logs_) {
        const std::string& dvnuuid = catalogue_.devices()[id];
        (void)log.drop({0, known.of(dvnuuid)});
        if (log.outstanding() > 0)
            return read_device(id, known.of(dvnuuid), most);
    }
    if (std::exchange(are_letters_given_, true))
        return std::nullopt;
    return letters(known);
}

std::optional<DonorPiece> Donor::read_device(DeviceId id, std::uint64_t known, std::size_t most) {
    DeviceLog& log = logs_[id];
    DonorPiece piece;
    piece.dvnuuid = catalogue_.devices()[id];
    piece.next = known;
    std::vector<Span> spans = log.pick(Lane::backlog, most);
    while (const std::optional<std::uint64_t> absent = log.first_absent(spans)) {
        piece.lost += fetch(id, log, *absent, most);
        spans = log.pick(Lane::backlog, most);
    }
    Batch batch;
    for (const Span& span : log.start_flight(spans, batch))
        piece.lost += log.drop(span);
    for (std::size_t i = 0; i < batch.readings.size(); ++i) {
        DonorPiece::Item item;
        item.reading = std::move(batch.readings[i]);
        if (item.reading.series >= catalogue_.all_series().size()) {
            ++piece.lost;
            continue;
        }
        const Series& series = catalogue_.all_series()[item.reading.series];
        item.name = series.name;
        item.unit = series.unit;
        const auto boot = std::find_if(
            state_.boots.begin(), state_.boots.end(),
            [number = log.boot_of(batch.sequence[i])](const Boot& b) { return b.number == number; });
        Stamp& stamp = item.reading.stamp;
        if (stamp.clock == Stamp::Clock::boot && boot != state_.boots.end() &&
            boot->clock == Boot::Clock::unknown)
            item.boot = *boot;
        else if (stamp.clock == Stamp::Clock::boot)
            stamp = {stamp.ms + (boot == state_.boots.end() ? 0 : boot->offset_ms), Stamp::Clock::wall};
        piece.items.push_back(std::move(item));
    }
    for (const Span& span : spans) {
        piece.next = std::max(piece.next, span.last);
        (void)log.end_flight(span, true);
    }
    if (log.outstanding() == 0) // what could not be read is not waited for either
        piece.next = log.next();
    return piece;
}

std::uint64_t Donor::fetch(DeviceId id, DeviceLog& log, std::uint64_t from, std::size_t most) {
    for (Block& block : store_->read_blocks(id, from, std::max(most, blocks_at_once)))
        (void)log.insert(std::move(block), true, 0);
    std::uint64_t there = log.next();
    for (const Chunk& chunk : log.chunks())
        if (chunk.block.last() > from)
            there = std::min(there, std::max(from, chunk.block.first));
    return there > from ? log.drop({from, there}) : 0;
}

DonorPiece Donor::letters(const DonorMark& known) {
    DonorPiece piece;
    for (StoredLetter& letter : dead_) {
        if (letter.id < known.next_dead || letter.device >= catalogue_.devices().size() ||
            letter.reading.series >= catalogue_.all_series().size())
            continue;
        const Series& series = catalogue_.all_series()[letter.reading.series];
        piece.letters.push_back(
            {catalogue_.devices()[letter.device], series.name, series.unit, std::move(letter)});
    }
    return piece;
}

} // namespace things

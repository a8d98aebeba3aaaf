// SPDX-License-Identifier: Apache-2.0
#include "queue/adoption.hpp"

#include "platform/log.hpp"
#include "queue/flash/archive.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

namespace {

constexpr std::size_t at_once = 4096; // readings of a piece: about what one commit of a busy gateway carries

} // namespace

void Adoption::start(std::string file, bool rescue, bool remove, std::function<void(AdoptResult)> handler) {
    wishes_.push_back({std::move(file), rescue, remove, std::move(handler)});
    if (wishes_.size() == 1)
        begin();
}

void Adoption::begin() {
    result_ = {};
    result_.file = wishes_.front().file;
    archive_.open_donor(wishes_.front().file, wishes_.front().rescue,
                        [this](DonorReport report) { on_opened(std::move(report)); });
}

DonorMark Adoption::mark() const {
    return ports_.known(report_.identity).value_or(DonorMark{});
}

void Adoption::on_opened(DonorReport report) {
    report_ = std::move(report);
    result_.rescue = report_.rescue;
    result_.is_damaged = report_.is_damaged;
    for (const Command& command : report_.unfinished)
        result_.unfinished.push_back(
            fmt::format("{}/{} ({})", command.device, command.point, name_of(command.state)));
    if (!report_.problem.empty())
        return end(report_.problem);
    const DonorMark known = mark();
    if (report_.fresh(known) + report_.fresh_letters(known) == 0) {
        const bool is_empty = report_.waiting.empty() && report_.letters.empty();
        result_.is_known = !is_empty;
        return end(is_empty ? "nothing waits in it"
                            : "all that waits in it was taken in before, and is taken in once");
    }
    for (const std::string& command : result_.unfinished)
        log::warning("queue: {} holds an unfinished command, {}; it is not carried out here", result_.file,
                     command);
    ports_.inherit(report_);
    next();
}

void Adoption::next() {
    archive_.read_donor(mark(), at_once,
                        [this](Archive::DonorRead read) { on_piece(std::move(read.piece), read.problem); });
}

void Adoption::on_piece(std::optional<DonorPiece> piece, const std::string& problem) {
    if (!problem.empty() || !piece)
        return end(problem);
    if (!ports_.take_in(report_.identity, *piece, result_))
        return end(
            "memory for readings is full because flash cannot be written: name the file again when it can");
    ports_.commit([this](bool is_stored) {
        if (is_stored)
            next();
        else
            end("flash cannot be written: what was taken in so far is in memory; name the file again when it "
                "can");
    });
}

void Adoption::end(const std::string& problem) {
    result_.problem = problem;
    // Damaged ones stay: what could not be carried over may be of use to somebody.
    const bool is_done = problem.empty() || result_.is_known;
    archive_.close_donor(wishes_.front().remove && is_done && !report_.is_damaged);
    if (problem.empty())
        log::info("queue: {} readings and {} dead letters of {} were taken in{}", result_.readings,
                  result_.letters, result_.file,
                  result_.lost == 0 ? "" : fmt::format("; {} could not be read", result_.lost));
    else if (!result_.is_known)
        log::warning("queue: {} is not taken in: {}", result_.file, problem);
    const std::function<void(AdoptResult)> handler = std::move(wishes_.front().handler);
    wishes_.pop_front();
    const AdoptResult result = std::exchange(result_, {});
    if (!wishes_.empty())
        begin();
    handler(result);
}

} // namespace things

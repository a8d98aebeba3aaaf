// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/donor.hpp"
#include "queue/status.hpp"

#include <deque>
#include <functional>
#include <string>

// The taking in of other queues' files, one at a time and piece by piece: each piece is on flash, together
// with the mark of how far that queue is known, before the next one is read. So whatever ends it in between,
// nothing is taken in twice and nothing is left out when the file is named again. Loop only.
namespace things {

class Archive;

class Adoption {
public:
    /// What it asks of the queue.
    struct Ports {
        /// How far the queue with this identity is known; none: not at all.
        std::function<std::optional<DonorMark>(std::uint64_t identity)> known;
        /// What the other queue took in itself is known from now on.
        std::function<void(const DonorReport& report)> inherit;
        /// Takes a piece in, as backlog; counts in `result`. False: there is no memory for it.
        std::function<bool(std::uint64_t identity, const DonorPiece& piece, AdoptResult& result)> take_in;
        std::function<void(std::function<void(bool)> handler)> commit;
    };
    /// The archive outlives it.
    Adoption(Archive& archive, Ports ports) : archive_(archive), ports_(std::move(ports)) {}

    /// `remove`: the file goes once all of it is here. The handler is called on the loop, never from inside.
    void start(std::string file, bool rescue, bool remove, std::function<void(AdoptResult)> handler);
    [[nodiscard]] bool is_running() const { return !wishes_.empty(); }

private:
    struct Wish {
        std::string file;
        bool rescue = false, remove = false;
        std::function<void(AdoptResult)> handler;
    };
    void begin();
    void on_opened(DonorReport report);
    void next();
    void on_piece(std::optional<DonorPiece> piece, const std::string& problem);
    void end(const std::string& problem);
    [[nodiscard]] DonorMark mark() const;

    Archive& archive_;
    Ports ports_;
    std::deque<Wish> wishes_; ///< the first one is being carried out
    DonorReport report_;
    AdoptResult result_;
};

} // namespace things

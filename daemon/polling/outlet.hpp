// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/inbox.hpp"
#include "polling/source.hpp"

#include <atomic>
#include <mutex>

// The only way from a source's thread back to the gateway. A thread that hangs in its plugin is left behind
// when the source is stopped; `cut` makes sure that it reaches nobody when it comes back. For that the mutex
// is held over the listener's and the handlers' calls, which must not block.
namespace things {

/// Owned by a source's thread object. The loop calls `cut`, `dismiss` and nothing else.
class Outlet {
public:
    /// `now` may be empty: the wall clock is then believed.
    Outlet(const Clock& clock, SourceListener& listener, std::function<Stamp()> now,
           std::function<bool()> is_clock_trusted);

    void send(std::vector<PointReading> readings);
    void send(SourceEvent event);
    /// Now, for a reading; and CLOCK_BOOTTIME. After `cut` what they were last.
    [[nodiscard]] Stamp stamp();
    [[nodiscard]] std::int64_t boot_ms();
    [[nodiscard]] bool is_clock_trusted();

    /// The request that is being carried out; `answer` calls its handler, once, whoever comes first.
    /// Takes the place of what was expected before.
    void expect(Request request);
    void answer(BusResult result);
    /// The present request waits in `inbox` again. In one step: whoever dismisses it from outside finds it
    /// either here or there. False if there is none or the inbox does not take it.
    [[nodiscard]] bool put_back(Inbox& inbox);
    /// These two go to the present request if it is a discovery, else nowhere.
    void found(std::string json);
    void progress(double part);
    void finish_discovery(std::string error);
    /// Answers with a result that suits any kind of request.
    static void dismiss(Request request, BusResult::Status status, const std::string& text);
    /// Answers the present request the same way, if there is one.
    void dismiss(BusResult::Status status, const std::string& text);

    /// From now on nothing gets out. Any thread.
    /// Blocks while a listener's or handler's call is under way. The mutex of the clock is another one, so
    /// that a stamp does not wait for a listener.
    void cut();
    /// The source's thread is over: the last thing that its listener hears.
    void end();
    /// Values of unfinished windows went with a thread that hangs.
    void lose(std::uint64_t count);

private:
    std::mutex mutex_; ///< guards the next two
    SourceListener* listener_;
    std::optional<Request> present_;
    std::mutex clock_mutex_; ///< guards what follows
    const Clock* clock_;
    std::function<Stamp()> now_;
    std::function<bool()> is_clock_trusted_;
    Stamp last_stamp_;
    bool was_clock_trusted_ = false;
    std::int64_t last_boot_ms_ = 0;
};

} // namespace things

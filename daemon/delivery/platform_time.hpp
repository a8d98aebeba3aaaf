// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/https.hpp"
#include "delivery/upload_ports.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

// Asks the platform for its time with requests that carry no reading and no token, and passes on the time of
// every answer. Owned by the uploader; loop only. Says nothing about devices, and is no probe of the breaker:
// only the clock waits for it.
namespace things {

class PlatformTime {
public:
    /// All references outlive this object.
    PlatformTime(boost::asio::io_context& loop, Https& https, UploadPorts& ports);
    /// Cheap to call each second: asks every 15 s, or 60 s after a request that brought no time.
    void ask();
    /// The Date of an answer that is the platform's own, for the hook on_date.
    void note(const Answer& answer);
    /// Why the last request brought no time; empty if it did.
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    void on_answer(const Answer& answer);

    boost::asio::io_context& loop_;
    Https& https_;
    UploadPorts& ports_;
    bool is_asking_ = false;
    std::int64_t again_ms_ = 0;
    std::string problem_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(); // an answer that comes later finds it expired
};

} // namespace things

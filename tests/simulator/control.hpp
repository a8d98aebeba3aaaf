// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/platform.hpp"
#include "simulator/session.hpp"

#include <string>

// The simulator's control port: plain HTTP with JSON, for tests and for people with curl. Loop only.
//
//   GET  /                 a list of these
//   GET  /stats            counters
//   GET  /devices          devices and what each sent; never a secret
//   POST /devices          {"id":"<DvnUUID>","secret":"...","name":"boiler"} adds or changes one
//   DELETE /devices?id=ID  removes one: the platform answers 404 from now on
//   GET  /accepted         readings; ?device= &name= &since=SEQUENCE &limit=10000 &newest=1 &from= &until=
//   GET  /accepted/count   {"readings":N,"kept":N,"total":N,"packs":N}, same filters
//   GET  /packs            the last 100 accepted bodies, as they came
//   GET  /refused          the last 1000 refused posts, with the reason
//   GET  /downlinks        waiting and handed over
//   POST /downlinks        {"device":"...","pack":[...]} or {"device":"...","body":"raw"}; also "times",
//                          "status", "content_type". A pack without a base name gets the device's.
//   GET  /behaviour        faults that are armed
//   POST /behaviour        one or an array (behaviour.hpp); {"kind":"down"}, {"kind":"up"}: an outage
//   DELETE /behaviour      none any more
//   POST /limits           {"max_body":BYTES}: larger bodies get 413 from now on
//   POST /clear            forget all but the devices
namespace things::simulator {

class Control : public Handler {
public:
    explicit Control(Platform& platform) : platform_(platform) {}
    /// The listener an outage closes; before the loop runs.
    void set_listener(Listener& listener) { listener_ = &listener; }

    Answer answer(const Request& request) override;

private:
    struct Reply {
        int status = 200;
        std::string body;
    };
    Reply route(const Request& request);
    [[nodiscard]] Reply stats() const;
    [[nodiscard]] Reply devices() const;
    Reply change_device(const std::string& body);
    Reply accepted(const Request& request, bool is_count);
    [[nodiscard]] Reply packs() const;
    [[nodiscard]] Reply refused() const;
    [[nodiscard]] Reply downlinks() const;
    Reply add_downlink(const std::string& body);
    [[nodiscard]] Reply behaviours() const;
    Reply add_behaviours(const std::string& body);

    Platform& platform_;
    Listener* listener_ = nullptr;
};

} // namespace things::simulator

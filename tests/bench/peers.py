# SPDX-License-Identifier: Apache-2.0
"""collectd and Node-RED, told to do the same: read 10 holding registers of each of 50 units once a second from the Modbus
server and post the values as JSON. collectd: Debian's collectd-core (modbus, write_http); it asks for each register by
itself. Node-RED: from npm, with node-red-contrib-modbus; one request and one post a unit.

    npm install --prefix DIRECTORY node-red@4.1.8 node-red-contrib-modbus@5.23.3

installs it; THINGS_NODE_RED=DIRECTORY says where (default: build/node-red)."""

import json
import os
import pathlib
import shutil
import subprocess

from bench.rig import Platform
from support.gateway import free_port
from support.simulator import BUILD, wait_until

UNITS, REGISTERS = range(1, 51), range(10)


def start(stack, folder, command, **more):
    with open(folder / "peer.log", "wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)

    def end():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    stack.callback(end)
    return process


def collectd(stack, folder, field):
    program = shutil.which("collectd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        return None
    platform = stack.enter_context(Platform(folder, plain=True))
    data = "".join(f'  <Data "r{i}">\n    RegisterBase {i}\n    RegisterType Int16\n    RegisterCmd ReadHolding\n    Type gauge\n'
                   f'    Instance "r{i}"\n  </Data>\n' for i in REGISTERS)
    slaves = "".join(f'    <Slave {unit}>\n      Instance "u{unit}"\n' + "".join(f'      Collect "r{i}"\n' for i in REGISTERS) +
                     "    </Slave>\n" for unit in UNITS)
    (folder / "collectd.conf").write_text(
        f'Hostname "bench"\nFQDNLookup false\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\nTypesDB "/usr/share/collectd/types.db"\n'
        f'Interval 1\nReadThreads 1\nWriteThreads 1\nLoadPlugin modbus\nLoadPlugin write_http\n<Plugin modbus>\n{data}'
        f'  <Host "plc">\n    Address "127.0.0.1"\n    Port "{field.port}"\n    Interval 1\n{slaves}  </Host>\n</Plugin>\n'
        f'<Plugin write_http>\n  <Node "platform">\n    URL "{platform.url}"\n    Format "JSON"\n    Metrics true\n'
        "    Notifications false\n  </Node>\n</Plugin>\n")
    process = start(stack, folder, [program, "-f", "-C", folder / "collectd.conf"])
    wait_until(lambda: platform.newest().posts, "collectd posts", 30)
    return process.pid, platform


def flows(field_port, url):
    """One Modbus reader, one function and one request node for each unit, one connection."""
    client = {"id": "plc", "type": "modbus-client", "name": "", "clienttype": "tcp", "bufferCommands": True,
              "stateLogEnabled": False, "queueLogEnabled": False, "failureLogEnabled": True, "tcpHost": "127.0.0.1",
              "tcpPort": str(field_port), "tcpType": "DEFAULT", "unit_id": "1", "commandDelay": "1", "clientTimeout": "1000",
              "reconnectOnTimeout": True, "reconnectTimeout": "2000", "parallelUnitIdsAllowed": True, "showErrors": True,
              "showWarnings": True, "showLogs": False}
    nodes = [{"id": "tab", "type": "tab", "label": "bench"}, client]
    for unit in UNITS:
        records = f"msg.payload = msg.payload.map((v, i) => ({{n: 'd{unit}/p' + i, v: v / 10}}));"
        nodes += [
            {"id": f"read{unit}", "type": "modbus-read", "z": "tab", "name": "", "topic": "", "showStatusActivities": False,
             "logIOActivities": False, "showErrors": True, "showWarnings": True, "unitid": str(unit), "dataType": "HoldingRegister",
             "adr": "0", "quantity": str(len(REGISTERS)), "rate": "1", "rateUnit": "s", "delayOnStart": False, "startDelayTime": "",
             "server": "plc", "useIOFile": False, "ioFile": "", "useIOForPayload": False, "emptyMsgOnFail": False, "x": 100, "y": 100,
             "wires": [[f"pack{unit}"], []]},
            {"id": f"pack{unit}", "type": "function", "z": "tab", "name": "", "func": records + "\nmsg.headers = {'content-type': "
             "'application/json'};\nreturn msg;", "outputs": 1, "x": 300, "y": 100, "wires": [[f"post{unit}"]]},
            {"id": f"post{unit}", "type": "http request", "z": "tab", "name": "", "method": "POST", "ret": "txt", "url": url,
             "persist": True, "x": 500, "y": 100, "wires": [[]]}]
    return nodes


def node_red(stack, folder, field):
    home = pathlib.Path(os.environ.get("THINGS_NODE_RED", BUILD / "node-red")).resolve()
    program = home / "node_modules/node-red/red.js"
    if not program.exists() or shutil.which("node") is None:
        return None
    platform = stack.enter_context(Platform(folder, plain=True))
    (folder / "flows.json").write_text(json.dumps(flows(field.port, platform.url)))
    (folder / "node_modules").symlink_to(home / "node_modules")
    (folder / "package.json").write_text(json.dumps(
        {"name": "bench", "version": "1.0.0", "dependencies": {"node-red-contrib-modbus": "*"}}))
    (folder / "settings.js").write_text(f"module.exports = {{uiPort: {free_port()}, uiHost: '127.0.0.1', flowFile: 'flows.json', "
                                        "logging: {console: {level: 'warn'}}, telemetry: {enabled: false}};\n")
    process = start(stack, folder, ["node", program, "--userDir", folder, "--settings", folder / "settings.js"], cwd=folder)
    wait_until(lambda: platform.newest().posts, "Node-RED posts", 60)
    return process.pid, platform


PEERS = {"collectd": collectd, "Node-RED": node_red}

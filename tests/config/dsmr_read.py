#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The profile dsmr, read by the real executable from a meter of each country: what the telegram says must be read, with
the totals, be they printed or the sum of tariffs.   dsmr_read.py GATEWAY PLUGIN_DIR"""

import json
import pathlib
import socketserver
import subprocess
import sys
import tempfile
import threading

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TELEGRAMS = ROOT / 'tests/plugins/p1/telegrams'
# meter: (energyImport, energyExport) in Wh, worked out by hand from the telegram's 1.8.x and 2.8.x
METERS = {
    'nl-dsmr50-3ph-export-4mbus': (2614330 + 3120987, 1944802 + 4871663),
    'be-emucs171-3ph-peak-gas-water': (1870034 + 2015758, 0 + 11),
    'lu-smarty-clear': (125653, 10040),
    'se-han-3ph': (12345678, 234001),
}


class Meter(socketserver.ThreadingTCPServer):
    """Sends its telegram again and again, as a serial server in front of a P1 port does."""
    daemon_threads = True

    def __init__(self, telegram):
        self.telegram, self.ended = telegram, threading.Event()
        super().__init__(('127.0.0.1', 0), Meter.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while not self.server.ended.wait(0.2):
                    self.request.sendall(self.server.telegram)
            except OSError:
                pass


def read(gateway, plugins, folder, port):
    config = pathlib.Path(folder) / 'gateway.yaml'
    config.write_text(f'''control: {{socket: none.sock}}
sources: {{meter: {{plugin: p1, host: 127.0.0.1, tcp_port: {port}}}}}
devices:
  - {{name: house, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e0001, secret: abcdefghijklmnopqrstuvwxyzABCD, source: meter, profile: dsmr}}
''')
    config.chmod(0o600)
    (pathlib.Path(folder) / 'profiles').symlink_to(ROOT / 'etc/profiles')
    answer = subprocess.run([gateway, 'read', 'house', '--json', '--config', config, '--plugin-dir', plugins],
                            capture_output=True, text=True, timeout=120, check=False)
    points = json.loads(answer.stdout or '{"points":[]}')['points']
    return {point['name']: (point['value'], point['unit']) for point in points if not point.get('error')}


def mistakes_of(meter, found):
    profile = yaml.safe_load((ROOT / 'etc/profiles/dsmr.yaml').read_text())
    listed = {point['name'] for point in profile['points']}
    said = json.loads((TELEGRAMS / f'{meter}.json').read_text())['accepted'][0]['objects']
    wanted = {o['name']: (o['senml_readable']['v'], o['senml_readable']['u']) for o in said
              if o.get('name') in listed and 'senml_readable' in o}
    wanted['energyImport'], wanted['energyExport'] = ((wh, 'Wh') for wh in METERS[meter])
    return [f'{meter}: {name}: wanted {value}, got {found.get(name)}' for name, value in wanted.items()
            if found.get(name) != value]


def main():
    mistakes, points = [], 0
    for meter in METERS:
        server = Meter((TELEGRAMS / f'{meter}.txt').read_bytes())
        with tempfile.TemporaryDirectory() as folder:
            found = read(sys.argv[1], sys.argv[2], folder, server.server_address[1])
        server.ended.set()
        points += len(found)
        mistakes += mistakes_of(meter, found)
    print('\n'.join(mistakes))
    print(f'{len(METERS)} meters, {points} points, {len(mistakes)} mistakes')
    return 1 if mistakes or points == 0 else 0


if __name__ == '__main__':
    sys.exit(main())

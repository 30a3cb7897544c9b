import torch
import torch.distributed as dist

from smoothclap_trainer.losses.joint_loss import gather_rows, gather_sizes, own_rows, process_count
from tests import processes


def test_alone_nothing_is_gathered():
    rows = torch.randn(3, 2, requires_grad=True)
    sizes = gather_sizes(3, rows.device)
    assert process_count() == 1
    assert sizes == [3]
    assert own_rows(sizes) == slice(0, 3)
    assert gather_rows(rows, sizes) is rows


def _gather_uneven(rank: int) -> None:
    mine = torch.full((rank + 1, 2), float(rank + 1), requires_grad=True)
    sizes = gather_sizes(len(mine), mine.device)
    assert sizes == [1, 2, 3]
    assert own_rows(sizes) == (slice(0, 1), slice(1, 3), slice(3, 6))[rank]
    everything = gather_rows(mine, sizes)
    assert everything[:, 0].tolist() == [1, 2, 2, 3, 3, 3]
    # Process r weighs row i by (r + 1) * i, so row i receives i * (1 + 2 + 3).
    weights = (rank + 1) * torch.arange(6.0)[:, None]
    (everything * weights).sum().backward()
    assert torch.equal(mine.grad[:, 0], 6 * torch.arange(6.0)[own_rows(sizes)])
    integers = gather_rows(torch.tensor([rank, 2**40 + rank]), [2, 2, 2])
    assert integers.tolist() == [0, 2**40, 1, 2**40 + 1, 2, 2**40 + 2]
    assert dist.get_world_size() == process_count() == 3


def test_uneven_rows_of_three_processes(tmp_path):
    processes.run(_gather_uneven, tmp_path, world_size=3)

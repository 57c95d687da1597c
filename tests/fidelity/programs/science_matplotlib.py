# matplotlib draws into a file without a display.
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(2, 2), dpi=50)
axes.plot([1, 2, 3], [1, 4, 9])
axes.set_title("Größe")
figure.savefig("plot.png")
data = open("plot.png", "rb").read()
print(data[:8], plt.imread("plot.png").shape, matplotlib.get_backend())

"""The one page."""

from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path


def index(_request):
    return HttpResponse(f'<link rel="stylesheet" href="{static("style.css")}"><h1>Hello from Django</h1>')


urlpatterns = [path("", index)]
